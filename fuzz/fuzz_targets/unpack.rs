//! gzip and zip, nested: bounded, and every byte accounted for.
#![no_main]

use dmarcdb::limits::Limits;
use dmarcdb::unpack::{Budget, Content, Event, unpack};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let limits = Limits {
        document_bytes: 16 << 20,
        unpacked_bytes: 24 << 20,
        archive_members: 50,
        ..Limits::default()
    };
    let mut budget = Budget::new(&limits);
    let mut documents = 0;
    unpack(data, "", None, &limits, &mut budget, &mut |event| {
        if let Event::Document(document) = event {
            documents += 1;
            assert!(document.depth <= limits.container_depth);
            if let Content::Stream(stream) = document.content {
                let mut bytes = 0;
                let mut block = [0; 8192];
                while let Ok(read @ 1..) = stream.read(&mut block) {
                    bytes += read as u64;
                }
                assert!(bytes <= limits.document_bytes);
            }
        }
    });
    assert!(documents <= limits.archive_members + 1);
    assert!(budget.bytes <= limits.unpacked_bytes);
});
