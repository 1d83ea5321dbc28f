#![no_main]

veritune_libfuzzer::program!(plan_files);
