//! A TCP proxy in front of a server, which can stop forwarding: to its clients, the server is silent.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// Accepts connections as long as it exists.
pub(crate) struct Proxy {
    pub(crate) port: u16,
    paused: watch::Sender<bool>,
}

impl Proxy {
    /// - `to`: the port of the server
    pub(crate) async fn start(to: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (paused, is_paused) = watch::channel(false);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(("127.0.0.1", to)).await.unwrap();
                let (from_client, to_client) = client.into_split();
                let (from_server, to_server) = server.into_split();
                tokio::spawn(forward(from_client, to_server, is_paused.clone()));
                tokio::spawn(forward(from_server, to_client, is_paused.clone()));
            }
        });
        Self { port, paused }
    }

    /// While paused, it accepts connections and bytes, and forwards none.
    pub(crate) fn pause(&self, paused: bool) {
        self.paused.send_replace(paused);
    }
}

async fn forward(
    mut from: impl AsyncReadExt + Unpin,
    mut to: impl AsyncWriteExt + Unpin,
    mut paused: watch::Receiver<bool>,
) {
    let mut bytes = [0; 4096];
    while let Ok(length) = from.read(&mut bytes).await {
        let ready = paused.wait_for(|paused| !paused).await.is_ok();
        if !ready || length == 0 || to.write_all(&bytes[..length]).await.is_err() {
            return;
        }
    }
}
