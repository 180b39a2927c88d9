//! The form of a `policy.yaml`: YAML text → named values with the lines they stand on.
//!
//! Reads the part of YAML that policy files use: mappings, lists and text. Tags, anchors, aliases
//! and several documents in one file are refused, since a policy must mean what it seems to say.
//! What the names mean is [`super::overrides`]' business.

use saphyr_parser::{Event, Parser, ScalarStyle, Span, StrInput};

use super::problem::{Problem, Reason};

/// Lists stand in lists in a mapping in a mapping; nothing in a policy nests deeper.
const DEPTH_MAX: usize = 8;

/// A piece of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Node {
    /// Where it starts, from 1.
    pub(super) line: usize,
    /// What it is.
    pub(super) content: Content,
}

/// What a piece of the file is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Content {
    /// No value at all: nothing after the colon, `~` or `null`.
    Nothing,
    /// Text, quoted or not.
    Text(String),
    /// A list.
    List(Vec<Node>),
    /// Pairs of key and value, in the order of the file.
    Mapping(Vec<(Node, Node)>),
}

/// Reads the one document of `text`; `None` if there is none, as in a file of comments.
pub(super) fn read(text: &str) -> Result<Option<Node>, Problem> {
    let mut reader = Reader {
        parser: Parser::new_from_str(text),
        depth: 0,
    };
    let mut document = None;
    loop {
        let (event, span) = reader.next()?;
        match event {
            Event::StreamEnd => return Ok(document),
            Event::StreamStart | Event::DocumentStart(_) | Event::DocumentEnd | Event::Nothing => {}
            _ if document.is_some() => {
                return Err(refuse(&span, Reason::Unsupported("a second document")));
            }
            _ => document = Some(reader.node(event, &span)?),
        }
    }
}

fn refuse(span: &Span, reason: Reason) -> Problem {
    Problem {
        line: span.start.line(),
        rule: None,
        reason,
    }
}

struct Reader<'a> {
    parser: Parser<'a, StrInput<'a>>,
    depth: usize,
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Result<(Event<'a>, Span), Problem> {
        match self.parser.next_event() {
            Some(Ok(event)) => Ok(event),
            Some(Err(error)) => Err(Problem {
                line: error.marker().line(),
                rule: None,
                reason: Reason::Yaml(error.info().to_owned()),
            }),
            None => Ok((Event::StreamEnd, Span::default())),
        }
    }

    fn node(&mut self, event: Event<'a>, span: &Span) -> Result<Node, Problem> {
        if self.depth == DEPTH_MAX {
            return Err(refuse(span, Reason::Unsupported("nesting this deep")));
        }
        self.depth += 1;
        let content = match event {
            Event::Scalar(text, style, 0, None) => scalar(&text, style),
            Event::SequenceStart(0, None) => self.list()?,
            Event::MappingStart(0, None) => self.mapping()?,
            Event::Alias(_) => return Err(refuse(span, Reason::Unsupported("an alias"))),
            Event::Scalar(_, _, _, Some(_))
            | Event::SequenceStart(_, Some(_))
            | Event::MappingStart(_, Some(_)) => return Err(refuse(span, Reason::Tag)),
            Event::Scalar(..) | Event::SequenceStart(..) | Event::MappingStart(..) => {
                return Err(refuse(span, Reason::Unsupported("an anchor")));
            }
            _ => return Err(refuse(span, Reason::Yaml("a value is missing".to_owned()))),
        };
        self.depth -= 1;
        Ok(Node {
            line: span.start.line(),
            content,
        })
    }

    fn list(&mut self) -> Result<Content, Problem> {
        let mut items = Vec::new();
        loop {
            let (event, span) = self.next()?;
            if event == Event::SequenceEnd {
                return Ok(Content::List(items));
            }
            items.push(self.node(event, &span)?);
        }
    }

    fn mapping(&mut self) -> Result<Content, Problem> {
        let mut pairs = Vec::new();
        loop {
            let (event, span) = self.next()?;
            if event == Event::MappingEnd {
                return Ok(Content::Mapping(pairs));
            }
            let key = self.node(event, &span)?;
            let (event, span) = self.next()?;
            pairs.push((key, self.node(event, &span)?));
        }
    }
}

fn scalar(text: &str, style: ScalarStyle) -> Content {
    let plain = style == ScalarStyle::Plain;
    if plain && matches!(text, "" | "~" | "null" | "Null" | "NULL") {
        Content::Nothing
    } else {
        Content::Text(text.to_owned())
    }
}
