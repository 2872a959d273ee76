//! Messages to parts: bounded, and every part can be decoded.
#![no_main]

use dmarcdb::limits::Limits;
use dmarcdb::mail::parse;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let limits = Limits::default();
    let Ok(mail) = parse(data, &limits) else {
        return;
    };
    assert!(!mail.entities.is_empty() && mail.entities.len() <= 2 * limits.mime_parts + 1);
    for (at, entity) in mail.entities.iter().enumerate() {
        assert!(entity.parent.is_none_or(|parent| parent < at));
        assert!(entity.body().len() <= data.len().max(limits.message_bytes as usize));
        for name in ["from", "subject", "message-id", "content-type"] {
            let texts = entity
                .header(name)
                .into_iter()
                .chain(entity.header_decoded(name));
            assert!(
                texts
                    .into_iter()
                    .all(|text| !text.contains(['\0', '\r', '\n']) || name == "subject")
            );
        }
    }
});
