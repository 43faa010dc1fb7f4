//! The journal over HTTP: what a request asks, and the document that answers it. Pure but for a look at the journal.

use std::{sync::Arc, time::SystemTime};

use hyper::Response;
use serde::{Deserialize, Serialize};

use super::{
    answer::{Body, list},
    query::{QueryError, parameters},
};
use crate::ledger::{
    journal::{Entry, Filter, JournalReader, Look},
    moment::seconds,
    span::{Span, SpanError},
};

/// What a request asks of the journal.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Question {
    /// Which entries.
    pub filter: Filter,
    /// Those after the one of this sequence.
    pub after: Option<u64>,
    /// And then whatever happens.
    pub follow: bool,
}

/// A request that asks what cannot be answered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QuestionError {
    /// The query cannot be read.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// `since` is no length of time.
    #[error("since: {0}")]
    Since(#[from] SpanError),
    /// `after` is no sequence.
    #[error("after: not the sequence of an entry, which is a number")]
    After,
    /// `follow` is neither.
    #[error("follow: neither true nor false")]
    Follow,
}

/// The journal as one document. One type for both sides.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Events {
    /// When the journal began, in seconds since 1970: with the agent. Sequences count from there.
    pub began: f64,
    /// The sequence of the newest entry, whatever it is about: ask `after` it next time.
    pub last: u64,
    /// Entries after the one asked for that made room before this answer, whatever they were about.
    pub lost: u64,
    /// What was asked for, the oldest first.
    pub events: Vec<Arc<Entry>>,
}

impl Question {
    /// What the query of a request's target asks, at that moment.
    ///
    /// # Errors
    /// See [`QuestionError`].
    pub fn parse(query: Option<&str>, now: SystemTime) -> Result<Self, QuestionError> {
        let [since, after, container, follow] = parameters(query, ["since", "after", "container", "follow"])?;
        let since = since.map(|since| since.parse::<Span>()).transpose()?;
        let since = since.and_then(|since| now.checked_sub(since.duration()));
        let after = after.map(|after| after.parse()).transpose().map_err(|_| QuestionError::After)?;
        let follow = match follow.as_deref() {
            None | Some("false" | "0") => false,
            Some("" | "true" | "1") => true,
            Some(_) => return Err(QuestionError::Follow),
        };
        let container = container.filter(|container| !container.is_empty());
        Ok(Self { filter: Filter { container, since }, after, follow })
    }

    /// What the journal has of it: a body of [`Events`].
    #[must_use]
    pub fn answer(&self, journal: &JournalReader) -> Response<Body> {
        let Look { entries, lost, last, began } = journal.look(self.after, &self.filter);
        let head = Events { began: seconds(began), last, lost, events: Vec::new() };
        list(&head, entries.into_iter())
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;
    use crate::ledger::journal::{Journal, Kind, Note, Who};

    const REFERENCE: &str = include_str!("../../../docs/api.md");

    #[test]
    fn a_query_becomes_a_question() {
        let now = UNIX_EPOCH + Duration::from_secs(10_000);
        let parse = |query| Question::parse(Some(query), now);
        let question = parse("container=a%20b&since=1h&after=7&follow").expect("a question");
        let since = Some(UNIX_EPOCH + Duration::from_secs(6_400));
        let filter = Filter { container: Some("a b".to_owned()), since };
        assert_eq!(question, Question { filter, after: Some(7), follow: true });
        assert_eq!(Question::parse(None, now), Ok(Question::default()));
        assert_eq!(parse("container=&follow=0"), Ok(Question::default()));
        assert_eq!(parse("after=-1"), Err(QuestionError::After));
        assert_eq!(parse("follow=yes"), Err(QuestionError::Follow));
        assert_eq!(
            parse("since=5").map_err(|error| error.to_string()),
            Err("since: 5 of what? write a unit, as in 5s or 5m".to_owned())
        );
        assert!(matches!(parse("x=1"), Err(QuestionError::Query(_))));
    }

    #[test]
    fn every_field_and_kind_is_documented() {
        let (mut journal, reader) = Journal::new(UNIX_EPOCH);
        journal.write(UNIX_EPOCH, Note::new(Kind::Set, Who::Agent));
        let events = reader.look(None, &Filter::default()).entries;
        let events = serde_json::to_value(Events { began: 0.0, last: 1, lost: 0, events }).expect("JSON");
        let entry = events["events"][0].as_object().expect("an object");
        let fields = events.as_object().expect("an object").keys().chain(entry.keys());
        let words = fields.map(String::as_str).chain(Kind::ALL.map(Kind::as_str));
        assert_eq!(
            words
                .inspect(|word| {
                    assert!(REFERENCE.contains(&format!("\n| `{word}` | ")), "{word} is not in docs/api.md");
                })
                .count(),
            4 + 9 + 16
        );
        for kind in Kind::ALL {
            assert_eq!(serde_json::to_value(kind).expect("JSON"), kind.as_str());
        }
    }
}
