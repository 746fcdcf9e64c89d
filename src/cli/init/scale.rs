use clap::ValueEnum;

/// A scale that `init` can write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Scale {
    /// 1 to 5, 5 is best
    #[value(name = "1-5")]
    OneToFive,
    /// 1 to 5, 1 is best
    #[value(name = "5-1")]
    FiveToOne,
    /// 0 to 10, 10 is best
    #[value(name = "0-10")]
    ZeroToTen,
    /// Yes or no, yes is best
    #[value(name = "yes-no")]
    YesNo,
}

impl Scale {
    /// As it is written on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Scale::OneToFive => "1-5",
            Scale::FiveToOne => "5-1",
            Scale::ZeroToTen => "0-10",
            Scale::YesNo => "yes-no",
        }
    }

    /// The best and the worst answer, if yes and no are answered so.
    pub fn ends<'a>(self, (yes, no): (&'a str, &'a str)) -> (&'a str, &'a str) {
        match self {
            Scale::OneToFive => ("5", "1"),
            Scale::FiveToOne => ("1", "5"),
            Scale::ZeroToTen => ("10", "0"),
            Scale::YesNo => (yes, no),
        }
    }
}
