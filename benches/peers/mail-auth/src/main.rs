//! Reads every file of a folder with the reader of mail-auth, in memory, and prints as JSON the seconds that took, and of each
//! file the records found or why there are none.

use std::fs;
use std::time::Instant;

use mail_auth::report::Report;

/// What an attachment may unpack to.
const MOST: usize = 1 << 30;

fn main() {
    let folder = std::env::args().nth(1).expect("a folder");
    let mut paths: Vec<_> =
        fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("a file").path()).collect();
    paths.sort();
    let mails: Vec<_> = paths.iter().map(|path| fs::read(path).expect("a file")).collect();
    let mut seconds = f64::MAX;
    let mut read = Vec::new();
    for _ in 0..3 {
        let start = Instant::now();
        read = mails.iter().map(|mail| Report::parse_rfc5322(mail, MOST)).collect();
        seconds = seconds.min(start.elapsed().as_secs_f64());
    }
    let files: Vec<String> = (paths.iter().zip(&read))
        .map(|(path, read)| {
            let name = path.file_name().expect("a name").to_string_lossy();
            match read {
                Ok(report) => format!("{name:?}: {}", report.records().len()),
                Err(error) => format!("{name:?}: {:?}", format!("{error:?}")),
            }
        })
        .collect();
    println!("{{\"seconds\": {seconds}, \"files\": {{{}}}}}", files.join(", "));
}
