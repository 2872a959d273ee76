//! x
use super::*;
/// x
pub struct FileSource;
impl FileSource { /// x
 pub fn new(_p: Vec<PathBuf>, _m: u64) -> Self { FileSource } }
impl Source for FileSource { fn next(&mut self) -> Result<Option<Taken>, Error> { Ok(None) } fn settle(&mut self, _: &[(Origin, Fate)]) -> Result<(), Error> { Ok(()) } }
