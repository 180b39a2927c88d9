//! The form of a scenario file.
//!
//! ```text
//! # Prose, kept as it is.
//! as admin
//! POST /compute/v2.1/flavors
//! OpenStack-API-Version: compute 2.55
//! capture flavor = /flavor/id
//!
//! {"flavor": {"name": "tiny", "ram": 64, "vcpus": 1, "disk": 1}}
//! ---
//! 200
//! { the recorded answer }
//! ===
//! ```
//!
//! Lines before the request: `as NAME` (who asks: `admin`, `member`, `reader`, `manager`,
//! `stranger`, `nobody`, `token {{name}}`), `tick SECONDS` (the clock moves), `settle` (hosts do
//! what is asked of them), `host NAME VERB …` (see `world.rs`). Lines after it: headers and
//! `capture NAME = /json/pointer` or `capture NAME = header Name`. `{{name}}` is replaced
//! everywhere. A body that begins with `@bytes N` stands for N bytes of a fixed pattern.

use std::fmt;

/// A scenario.
#[derive(Clone, Debug)]
pub(crate) struct Script {
    /// Its steps.
    pub(crate) steps: Vec<Step>,
}

/// One request with what comes before and after it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Step {
    /// Comments and directives before the request, as they stand.
    pub(crate) before: Vec<String>,
    /// `METHOD /path?query`.
    pub(crate) request_line: String,
    /// Headers and captures after the request line, as they stand.
    pub(crate) after: Vec<String>,
    /// The body, if there is one.
    pub(crate) body: Option<String>,
    /// The recorded answer.
    pub(crate) recorded: String,
}

const VERBS: [&str; 6] = ["GET ", "HEAD ", "POST ", "PUT ", "PATCH ", "DELETE "];

impl Script {
    /// Reads a scenario; the error says which step is wrong and why.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut steps = Vec::new();
        for (index, block) in text.split("\n===\n").enumerate() {
            if block.trim().is_empty() {
                continue;
            }
            let step =
                Step::parse(block).map_err(|error| format!("step {}: {error}", index + 1))?;
            steps.push(step);
        }
        Ok(Self { steps })
    }
}

impl Step {
    fn parse(block: &str) -> Result<Self, String> {
        let (asked, recorded) = match block.split_once("\n---") {
            Some((asked, recorded)) => (asked, recorded.trim_matches('\n').to_owned()),
            None => (block, String::new()),
        };
        let mut step = Self {
            recorded,
            ..Self::default()
        };
        let mut lines = asked.trim_matches('\n').lines();
        for line in lines.by_ref() {
            if VERBS.iter().any(|verb| line.starts_with(verb)) {
                line.trim_end().clone_into(&mut step.request_line);
                break;
            }
            step.before.push(line.to_owned());
        }
        if step.request_line.is_empty() {
            return Err("there is no request line".to_owned());
        }
        for line in lines.by_ref().take_while(|line| !line.trim().is_empty()) {
            step.after.push(line.to_owned());
        }
        let body = lines.collect::<Vec<_>>().join("\n");
        step.body = (!body.trim().is_empty()).then(|| body.trim_end().to_owned());
        Ok(step)
    }

    /// The directives before the request, without comments.
    pub(crate) fn directives(&self) -> impl Iterator<Item = &str> {
        self.before
            .iter()
            .map(|line| line.trim())
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
    }

    /// The captures: name and where the value stands.
    pub(crate) fn captures(&self) -> impl Iterator<Item = (&str, &str)> {
        self.after.iter().filter_map(|line| {
            let (name, place) = line.strip_prefix("capture ")?.split_once('=')?;
            Some((name.trim(), place.trim()))
        })
    }

    /// The headers of the request.
    pub(crate) fn headers(&self) -> impl Iterator<Item = (&str, &str)> {
        self.after
            .iter()
            .filter(|line| !line.starts_with("capture "))
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.trim(), value.trim()))
    }
}

impl fmt::Display for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, step) in self.steps.iter().enumerate() {
            if index > 0 {
                f.write_str("===\n")?;
            }
            for line in &step.before {
                writeln!(f, "{line}")?;
            }
            writeln!(f, "{}", step.request_line)?;
            for line in &step.after {
                writeln!(f, "{line}")?;
            }
            if let Some(body) = &step.body {
                writeln!(f, "\n{body}")?;
            }
            writeln!(f, "---\n{}", step.recorded)?;
        }
        Ok(())
    }
}

#[test]
fn a_script_is_written_as_it_was_read() {
    let text = "# Prose.\nas admin\nPOST /x\nA: b\ncapture c = /d\n\n{\"e\": 1}\n---\n200\n{}\n\
                ===\n\
                GET /y\n---\n204\n";
    let script = Script::parse(text).expect("it parses");
    assert_eq!(script.to_string(), text);
    assert_eq!(
        script.steps[0].captures().collect::<Vec<_>>(),
        [("c", "/d")]
    );
    assert_eq!(script.steps[0].headers().collect::<Vec<_>>(), [("A", "b")]);
}
