#![no_main]

veritune_libfuzzer::program!(adapter_files);
