#![no_main]

veritune_libfuzzer::program!(canonical_json);
