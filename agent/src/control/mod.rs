//! How people talk to a running agent: limits are listed, set and unset, and the journal read, over a unix socket.
//! Decides who may ask and what a request says; never what becomes of it.

#![deny(unsafe_code)]

pub mod client;
mod desk;
pub mod document;
mod door;
mod follow;
mod peer;
mod request;
mod routes;

use std::{future::Future, io, time::Duration};

pub use self::{
    desk::{Desk, Refused, Settled, Why},
    door::{Door, DoorError, unusable},
    request::{RequestError, Set, Unset},
};
use crate::http::server;

/// Where the socket is, unless somebody says otherwise.
pub const SOCKET: &str = "/run/plimsoll/control.sock";
/// How long a client may take to send a request, or to take more of an answer; and the desk to settle one.
pub const DEADLINE: Duration = Duration::from_secs(10);

/// Serves whoever may come in at the door until `shutdown` is ready, then closes it.
///
/// # Errors
/// The socket cannot be watched. A connection that fails is no error.
pub async fn serve<D: Desk>(
    door: Door,
    desk: D,
    deadline: Duration,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    let (listener, guests, _place) = door.parts()?;
    server::serve(listener, routes::Site::new(desk, guests, deadline), deadline, shutdown).await;
    Ok(())
}

#[cfg(test)]
mod tests;
