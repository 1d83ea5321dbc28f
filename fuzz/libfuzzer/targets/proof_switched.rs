#![no_main]

veritune_libfuzzer::program!(proof_switched);
