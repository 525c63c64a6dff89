//! Where a job stands in the index.

use std::fmt;
use std::str::FromStr;

use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::queue::{Priority, Queue};

/// State of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum, Serialize, Deserialize, ToSchema)]
#[sea_orm(rs_type = "String", db_type = "String(StringLen::N(12))", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    /// It waits: for its time, for a worker, or for another job of its serial key.
    Waiting,
    /// A worker runs it.
    Running,
    /// It has succeeded.
    Done,
    /// It has failed too often, and is not tried again.
    Dead,
    /// It was cancelled, by an operator or by its handler.
    Cancelled,
    /// It failed, and another job with its unique key waits.
    Superseded,
}

impl fmt::Display for JobState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Waiting => "waiting",
            Self::Running => "running",
            Self::Done => "done",
            Self::Dead => "dead",
            Self::Cancelled => "cancelled",
            Self::Superseded => "superseded",
        })
    }
}

/// The column `lane` of a job: one index on it and a time serves all queries. Jobs that cannot be claimed stand in other lanes than
/// those that can, so that no query reads past them. See `docs/adr/`, "Durable jobs are rows that stand in lanes".
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lane {
    /// May be claimed when it is due.
    Ready(Queue, Priority),
    /// Has a serial key and is not sorted yet.
    Line,
    /// Waits behind another job of its serial key.
    Behind(String),
    /// Is running.
    Running,
    /// Waits for a worker that knows its kind and version.
    Odd {
        /// Its queue.
        queue: Queue,
        /// Its kind.
        kind: String,
        /// Its version.
        version: i32,
    },
    /// Has succeeded.
    Done,
    /// Has failed too often.
    Dead,
    /// Was cancelled.
    Cancelled,
    /// Failed, and another job with its unique key waits.
    Superseded,
}

impl Lane {
    /// State of a job that stands here.
    #[must_use]
    pub fn state(&self) -> JobState {
        match self {
            Self::Ready(..) | Self::Line | Self::Behind(_) | Self::Odd { .. } => JobState::Waiting,
            Self::Running => JobState::Running,
            Self::Done => JobState::Done,
            Self::Dead => JobState::Dead,
            Self::Cancelled => JobState::Cancelled,
            Self::Superseded => JobState::Superseded,
        }
    }

    /// Whether the job has ended.
    #[must_use]
    pub fn is_end(&self) -> bool {
        matches!(self, Self::Done | Self::Dead | Self::Cancelled | Self::Superseded)
    }
}

impl fmt::Display for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ready(queue, priority) => write!(f, "{queue}.{}", priority.number()),
            Self::Line => f.write_str("line"),
            Self::Behind(key) => write!(f, "key:{key}"),
            Self::Running => f.write_str("run"),
            Self::Odd { queue, kind, version } => write!(f, "odd:{queue}:{kind}:{version}"),
            Self::Done | Self::Dead | Self::Cancelled | Self::Superseded => {
                write!(f, "{}", self.state())
            }
        }
    }
}

/// The text is no lane that can be claimed from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a lane of jobs that may be claimed")]
pub struct InvalidLane;

impl FromStr for Lane {
    type Err = InvalidLane;

    /// Reads [`Ready`](Self::Ready) and [`Line`](Self::Line), which processes tell each other about.
    fn from_str(text: &str) -> Result<Self, InvalidLane> {
        if text == "line" {
            return Ok(Self::Line);
        }
        let (queue, number) = text.split_once('.').ok_or(InvalidLane)?;
        let priority = Priority::ALL.into_iter().find(|priority| priority.number().to_string() == number);
        Ok(Self::Ready(queue.parse().map_err(|_| InvalidLane)?, priority.ok_or(InvalidLane)?))
    }
}

impl From<&Lane> for Value {
    fn from(lane: &Lane) -> Self {
        lane.to_string().into()
    }
}
