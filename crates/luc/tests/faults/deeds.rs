//! What the clients asked for and what they were told: the history that the invariants judge.
//!
//! An outcome is honest about what a client cannot know: no answer, 500 and 504 mean that it may
//! have happened, or may still.

use std::fmt;

use http::StatusCode;
use luc_state::Kind;

/// What is made, changed and deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum What {
    User,
    Project,
    Keypair,
    Group,
    Server,
    Flavor,
    Image,
}

impl What {
    pub(crate) const ALL: [Self; 7] = [
        Self::User,
        Self::Project,
        Self::Keypair,
        Self::Group,
        Self::Server,
        Self::Flavor,
        Self::Image,
    ];

    /// Its kind of record.
    pub(crate) const fn kind(self) -> Kind {
        match self {
            Self::User => Kind::User,
            Self::Project => Kind::Project,
            Self::Keypair => Kind::Keypair,
            Self::Group => Kind::ServerGroup,
            Self::Server => Kind::Server,
            Self::Flavor => Kind::Flavor,
            Self::Image => Kind::Image,
        }
    }

    /// Whether it has something that can be changed.
    pub(crate) const fn changes(self) -> bool {
        matches!(
            self,
            Self::User | Self::Project | Self::Server | Self::Image
        )
    }
}

/// What a client knows of one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It was done.
    Done,
    /// It was not done, and will not be.
    Refused(StatusCode, String),
    /// It may have been done. With the operation, if the answer named it, and the number of the
    /// site that answered.
    Unknown(Option<String>, usize),
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Done => f.write_str("done"),
            Self::Refused(status, why) => write!(f, "refused with {status}: {why}"),
            Self::Unknown(Some(operation), _) => write!(f, "unknown, operation {operation}"),
            Self::Unknown(None, _) => f.write_str("unknown"),
        }
    }
}

/// A thing that one client, and no other, made or tried to make.
#[derive(Clone, Debug)]
pub(crate) struct Thing {
    pub(crate) what: What,
    /// Given to nothing else.
    pub(crate) name: String,
    /// Its id, once the client knows it.
    pub(crate) id: Option<String>,
    pub(crate) made: Outcome,
    /// The marks that were put on it, in this order.
    pub(crate) marks: Vec<(String, Outcome)>,
    /// The attempts to delete it.
    pub(crate) deletions: Vec<Outcome>,
}

impl Thing {
    /// Whether a client was told that it is gone.
    pub(crate) fn is_gone(&self) -> bool {
        self.deletions.contains(&Outcome::Done)
    }

    /// The marks that it may have: the last that was acknowledged, and all that are in doubt.
    pub(crate) fn possible_marks(&self) -> Vec<Option<&str>> {
        let last = self
            .marks
            .iter()
            .rfind(|(_, outcome)| *outcome == Outcome::Done);
        let in_doubt = |(_, outcome): &&(String, Outcome)| matches!(outcome, Outcome::Unknown(..));
        let doubted = self.marks.iter().filter(in_doubt);
        let known = std::iter::once(last.map(|(mark, _)| mark.as_str()));
        known
            .chain(doubted.map(|(mark, _)| Some(mark.as_str())))
            .collect()
    }

    /// Every outcome that the client was told.
    pub(crate) fn outcomes(&self) -> impl Iterator<Item = &Outcome> {
        let marks = self.marks.iter().map(|(_, outcome)| outcome);
        std::iter::once(&self.made)
            .chain(marks)
            .chain(&self.deletions)
    }
}

impl fmt::Display for Thing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {} (making it: {}", self.what, self.name, self.made)?;
        for (mark, outcome) in &self.marks {
            write!(f, "; mark {mark}: {outcome}")?;
        }
        for deletion in &self.deletions {
            write!(f, "; deleting it: {deletion}")?;
        }
        f.write_str(")")
    }
}
