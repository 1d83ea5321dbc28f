#![no_main]

veritune_libfuzzer::program!(gguf);
