//! x
/// x
pub mod trust {
    /// x
    #[derive(Clone, Debug, Default)]
    pub struct Ours;
    impl Ours {
        /// x
        pub fn new(_own: &[String], _senders: &[String]) -> Self { Ours }
    }
}
