#![no_main]

veritune_libfuzzer::program!(certificate_switched);
