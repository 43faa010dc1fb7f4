//! Readings of an agent: what it knows of all accounts at one moment.

use std::{net::SocketAddr, time::Duration};

use anyhow::{Context as _, Result};

use super::rates::same_moment;
use crate::exporter::{accounts::Accounts, client};

/// The agent's answer, owned.
pub(super) type Reading = Accounts<'static>;

const PATH: &str = "/api/v1/containers";
/// Until a page is asked for again that was an older one.
pub(super) const AGAIN: Duration = Duration::from_millis(100);
/// How often it is asked for again: four times as long as a page is shared.
const TIMES: u32 = 10;

/// Asks an agent.
///
/// # Errors
/// It does not answer, or with what is no such document.
pub(super) async fn read(agent: SocketAddr) -> Result<Reading> {
    let answer = client::get(agent, PATH).await?;
    serde_json::from_slice(&answer)
        .with_context(|| format!("understand what the agent on {agent} answers: is it of this version?"))
}

/// A reading of another moment than that of the one before.
///
/// # Errors
/// Those of [`read`].
pub(super) async fn read_after(agent: SocketAddr, before: f64) -> Result<Reading> {
    let mut reading = read(agent).await?;
    for _ in 0..TIMES {
        if !same_moment(reading.at, before) {
            break;
        }
        tokio::time::sleep(AGAIN).await;
        reading = read(agent).await?;
    }
    Ok(reading)
}
