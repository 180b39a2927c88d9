//! The text of a rule → its tree.
//!
//! The language of oslo.policy 6.0 (`oslo_policy/_parser.py`): `or` binds weaker than `and`, `and`
//! weaker than `not`; words are separated by white space, and parentheses hang on to words, so a
//! literal holds no blank. The older form, a list of lists of checks, is read too.
//!
//! Where oslo.policy logs an error and lets such a rule deny everybody, this refuses to load it.
//! Input of any kind gives a tree or an error, never a panic; nesting is bounded.

use super::credentials::Attribute;
use super::expression::{Check, Literal};
use super::template::Template;

/// How deep parentheses and `not` may nest. The deepest upstream default nests 3 deep.
const DEPTH_MAX: usize = 64;

/// Why a rule cannot be understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExpressionError {
    /// Nothing but white space.
    #[error("it holds only white space; write \"\" to allow everybody or \"!\" to allow nobody")]
    Blank,
    /// The text ends where a check is due.
    #[error("a check is missing at the end, after `{after}`")]
    EndsEarly {
        /// The last word.
        after: String,
    },
    /// A word stands where it cannot stand.
    #[error("`{word}` is not possible here")]
    Unexpected {
        /// The word.
        word: String,
    },
    /// A parenthesis is not closed.
    #[error("a parenthesis is not closed")]
    Unclosed,
    /// A word that is no check.
    #[error("`{word}` is not a check: a check has the form `kind:match`, `@` or `!`")]
    NotACheck {
        /// The word.
        word: String,
    },
    /// A check that compares with nothing.
    #[error("nothing follows the colon of `{check}`")]
    EmptyMatch {
        /// The check.
        check: String,
    },
    /// A kind that this program does not know.
    #[error(
        "`{kind}` in `{check}` is not a known kind of check; known are role, rule, a 'literal', \
         None, True, False, a whole number, and {}",
        attribute_names()
    )]
    UnknownKind {
        /// The left side.
        kind: String,
        /// The whole check.
        check: String,
    },
    /// A right side that cannot be filled in.
    #[error("in `{text}`, {reason}")]
    Template {
        /// The right side.
        text: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Too much nesting.
    #[error("parentheses and `not` nest more than {DEPTH_MAX} deep")]
    TooDeep,
}

fn attribute_names() -> String {
    Attribute::all()
        .map(Attribute::name)
        .collect::<Vec<_>>()
        .join(", ")
}

/// Parses the text of a rule. The empty text allows everybody.
pub fn parse(text: &str) -> Result<Check, ExpressionError> {
    if text.is_empty() {
        return Ok(Check::Always);
    }
    let words = words(text);
    let Some(last) = words.last() else {
        return Err(ExpressionError::Blank);
    };
    let mut parser = Parser {
        words: &words,
        last,
        at: 0,
        depth: 0,
    };
    let check = parser.any()?;
    match parser.peek() {
        None => Ok(check),
        Some(word) => Err(ExpressionError::Unexpected {
            word: word.text().to_owned(),
        }),
    }
}

/// Parses the older form: the outer list is joined by `or`, the inner ones by `and`. The empty
/// list allows everybody; a list of empty lists, nobody.
pub fn parse_lists(lists: &[Vec<String>]) -> Result<Check, ExpressionError> {
    if lists.is_empty() {
        return Ok(Check::Always);
    }
    let mut any = Vec::new();
    for list in lists.iter().filter(|list| !list.is_empty()) {
        let all = list
            .iter()
            .map(|text| single(text))
            .collect::<Result<Vec<_>, _>>()?;
        any.push(one_or(all, Check::All));
    }
    if any.is_empty() {
        Ok(Check::Never)
    } else {
        Ok(one_or(any, Check::Any))
    }
}

/// The only check of `checks`, or all of them joined.
fn one_or(mut checks: Vec<Check>, join: fn(Vec<Check>) -> Check) -> Check {
    match checks.pop() {
        Some(only) if checks.is_empty() => only,
        Some(last) => {
            checks.push(last);
            join(checks)
        }
        None => Check::Never,
    }
}

/// A word of the language.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Word<'a> {
    Open,
    Close,
    And(&'a str),
    Or(&'a str),
    Not(&'a str),
    Check(&'a str),
}

impl<'a> Word<'a> {
    fn text(self) -> &'a str {
        match self {
            Self::Open => "(",
            Self::Close => ")",
            Self::And(text) | Self::Or(text) | Self::Not(text) | Self::Check(text) => text,
        }
    }
}

/// Cuts a rule into words: at white space, then leading `(` and trailing `)` off each piece.
fn words(text: &str) -> Vec<Word<'_>> {
    let mut words = Vec::new();
    for piece in text.split_whitespace() {
        let inner = piece.trim_start_matches('(');
        words.extend(std::iter::repeat_n(Word::Open, piece.len() - inner.len()));
        let clean = inner.trim_end_matches(')');
        if !clean.is_empty() {
            words.push(match clean.to_ascii_lowercase().as_str() {
                "and" => Word::And(clean),
                "or" => Word::Or(clean),
                "not" => Word::Not(clean),
                _ => Word::Check(clean),
            });
        }
        words.extend(std::iter::repeat_n(Word::Close, inner.len() - clean.len()));
    }
    words
}

/// A descent over the words, one method per level of binding.
struct Parser<'a> {
    words: &'a [Word<'a>],
    last: &'a Word<'a>,
    at: usize,
    depth: usize,
}

impl<'a> Parser<'a> {
    fn peek(&self) -> Option<Word<'a>> {
        self.words.get(self.at).copied()
    }

    fn any(&mut self) -> Result<Check, ExpressionError> {
        let mut checks = vec![self.all()?];
        while let Some(Word::Or(_)) = self.peek() {
            self.at += 1;
            checks.push(self.all()?);
        }
        Ok(one_or(checks, Check::Any))
    }

    fn all(&mut self) -> Result<Check, ExpressionError> {
        let mut checks = vec![self.unary()?];
        while let Some(Word::And(_)) = self.peek() {
            self.at += 1;
            checks.push(self.unary()?);
        }
        Ok(one_or(checks, Check::All))
    }

    fn unary(&mut self) -> Result<Check, ExpressionError> {
        let Some(word) = self.peek() else {
            return Err(ExpressionError::EndsEarly {
                after: self.last.text().to_owned(),
            });
        };
        self.at += 1;
        match word {
            Word::Check(text) => single(text),
            Word::Not(_) => {
                let inner = self.nested(Self::unary)?;
                Ok(Check::Not(Box::new(inner)))
            }
            Word::Open => {
                let inner = self.nested(Self::any)?;
                match self.peek() {
                    Some(Word::Close) => {
                        self.at += 1;
                        Ok(inner)
                    }
                    Some(other) => Err(ExpressionError::Unexpected {
                        word: other.text().to_owned(),
                    }),
                    None => Err(ExpressionError::Unclosed),
                }
            }
            Word::Close | Word::And(_) | Word::Or(_) => Err(ExpressionError::Unexpected {
                word: word.text().to_owned(),
            }),
        }
    }

    fn nested(
        &mut self,
        parse: fn(&mut Self) -> Result<Check, ExpressionError>,
    ) -> Result<Check, ExpressionError> {
        if self.depth == DEPTH_MAX {
            return Err(ExpressionError::TooDeep);
        }
        self.depth += 1;
        let check = parse(self);
        self.depth -= 1;
        check
    }
}

/// Parses one check.
fn single(text: &str) -> Result<Check, ExpressionError> {
    match text {
        "@" => return Ok(Check::Always),
        "!" => return Ok(Check::Never),
        _ => {}
    }
    let Some((kind, expected)) = text.split_once(':') else {
        return Err(ExpressionError::NotACheck {
            word: text.to_owned(),
        });
    };
    // oslo.policy takes a word between equal quotes for a string, which is no check.
    if text.starts_with(['\'', '"']) && text.chars().next() == text.chars().next_back() {
        return Err(ExpressionError::NotACheck {
            word: text.to_owned(),
        });
    }
    if expected.is_empty() {
        return Err(ExpressionError::EmptyMatch {
            check: text.to_owned(),
        });
    }
    if kind == "rule" {
        return Ok(Check::Rule(expected.into()));
    }
    let expected = Template::parse(expected)?;
    if kind == "role" {
        return Ok(Check::Role(expected));
    }
    if let Some(attribute) = Attribute::named(kind) {
        return Ok(Check::Caller {
            attribute,
            expected,
        });
    }
    match literal(kind) {
        Some(literal) => Ok(Check::Literal { literal, expected }),
        None => Err(ExpressionError::UnknownKind {
            kind: kind.to_owned(),
            check: text.to_owned(),
        }),
    }
}

/// The constant that `kind` spells, in the part of Python's literals that rules use.
fn literal(kind: &str) -> Option<Literal> {
    if matches!(kind, "None" | "True" | "False") {
        return Some(Literal::Bare(kind.into()));
    }
    // Python spells a number back without zeros in front or a plus sign; only that form is read.
    if kind
        .parse::<i64>()
        .is_ok_and(|number| number.to_string() == kind)
    {
        return Some(Literal::Bare(kind.into()));
    }
    let quote = kind
        .chars()
        .next()
        .filter(|quote| matches!(quote, '\'' | '"'))?;
    let inner = kind.strip_prefix(quote)?.strip_suffix(quote)?;
    (!inner.contains([quote, '\\'])).then(|| Literal::Text(inner.into()))
}
