//! What a subject was found to do.

use std::fmt;

use crate::law::Law;

/// What came of checking one subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The name of the subject.
    pub subject: String,
    /// Each law that was checked, in the order of the numbers.
    pub findings: Vec<Finding>,
}

/// What came of checking one law.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The law.
    pub law: Law,
    /// How it is broken, if it is.
    pub broken: Option<Broken>,
}

/// How a law is broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// The smallest schedule that was found.
    pub schedule: String,
    /// What is wrong at its end.
    pub what: String,
}

impl Report {
    /// The laws that hold.
    pub fn passes(&self) -> impl Iterator<Item = Law> {
        self.findings.iter().filter(|finding| finding.broken.is_none()).map(|finding| finding.law)
    }

    /// The laws that are broken, and how.
    pub fn failures(&self) -> impl Iterator<Item = (Law, &Broken)> {
        self.findings.iter().filter_map(|finding| Some((finding.law, finding.broken.as_ref()?)))
    }

    /// # Panics
    ///
    /// With all failures, if there are any.
    pub fn assert_conforms(&self) {
        assert!(self.failures().next().is_none(), "{self}");
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let passes: Vec<_> = self.passes().map(|law| law.number).collect();
        writeln!(f, "{}: keeps {}", self.subject, passes.join(" "))?;
        for (law, Broken { schedule, what }) in self.failures() {
            writeln!(f, "  breaks {law}\n    after {schedule}\n    {what}")?;
        }
        Ok(())
    }
}
