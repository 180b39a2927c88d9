//! Record types for tests of this crate and for the suite: a person with a unique name inside a
//! domain, a note on a project, and the domain itself. Not for services.

use luc_core::id::{DomainId, ProjectId};
use serde::{Deserialize, Serialize};

use crate::key::{IndexKey, key};
use crate::kinds::Kind;
use crate::record::{Index, Record};
use crate::schema::Schema;
use crate::scope::Scope;

/// A record with a unique index, a plain one, and a number to count with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    /// Its id.
    pub id: String,
    /// Unique inside the domain.
    pub name: String,
    /// Not unique.
    pub town: String,
    /// Anything countable.
    #[serde(default)]
    pub balance: i64,
}

impl Person {
    /// The unique index over the name.
    pub const BY_NAME: Index<Self> = Index::unique("name", |p| vec![key(&["default", &p.name])]);
    /// The plain index over the town.
    pub const BY_TOWN: Index<Self> = Index::plain("town", |p| vec![key(&[&p.town])]);

    /// A person whose id is its name.
    pub fn new(name: &str, town: &str) -> Self {
        Self {
            id: name.to_owned(),
            name: name.to_owned(),
            town: town.to_owned(),
            balance: 0,
        }
    }

    /// The same with `balance`.
    #[must_use]
    pub fn with(self, balance: i64) -> Self {
        Self { balance, ..self }
    }
}

impl Record for Person {
    const KIND: Kind = Kind::User;
    const INDEXES: &'static [Index<Self>] = &[Self::BY_NAME, Self::BY_TOWN];

    fn id(&self) -> &str {
        &self.id
    }

    fn scope(&self) -> Scope {
        // The text is a constant that is a valid id.
        DomainId::parse("default").map_or(Scope::Cloud, Scope::Domain)
    }
}

/// A record with several keys in one index.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// Its id.
    pub id: String,
    /// Its words, each a key.
    pub words: Vec<String>,
}

impl Note {
    /// The plain index over the words.
    pub const BY_WORD: Index<Self> = Index::plain("word", |note| {
        note.words
            .iter()
            .map(|word| key(&[word]))
            .collect::<Vec<IndexKey>>()
    });

    /// A note with these words.
    pub fn new(id: &str, words: &[&str]) -> Self {
        Self {
            id: id.to_owned(),
            words: words.iter().map(|&word| word.to_owned()).collect(),
        }
    }
}

impl Record for Note {
    const KIND: Kind = Kind::ServerGroup;
    const INDEXES: &'static [Index<Self>] = &[Self::BY_WORD];

    fn id(&self) -> &str {
        &self.id
    }

    fn scope(&self) -> Scope {
        // The text is a constant that is a valid id.
        ProjectId::parse("p").map_or(Scope::Site, Scope::Project)
    }
}

/// A domain, whose home decides where its persons live.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Realm {
    /// Its id.
    pub id: DomainId,
}

impl Record for Realm {
    const KIND: Kind = Kind::Domain;
    const INDEXES: &'static [Index<Self>] = &[];

    fn id(&self) -> &str {
        self.id.as_str()
    }

    fn scope(&self) -> Scope {
        Scope::Domain(self.id.clone())
    }
}

/// Something that the whole cloud shares and the home of `default` decides over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Size {
    /// Its id.
    pub id: String,
}

impl Record for Size {
    const KIND: Kind = Kind::Flavor;
    const INDEXES: &'static [Index<Self>] = &[];

    fn id(&self) -> &str {
        &self.id
    }

    fn scope(&self) -> Scope {
        Scope::Cloud
    }
}

/// The schema of persons and notes.
pub fn schema() -> Schema {
    Schema::new().table::<Person>().table::<Note>()
}
