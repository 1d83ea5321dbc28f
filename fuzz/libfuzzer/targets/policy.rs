#![no_main]

veritune_libfuzzer::program!(policy);
