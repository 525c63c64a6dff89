//! A plain TCP connection for HTTP/1.1 requests that a client library would not send.

use std::net::{Ipv4Addr, SocketAddr};
use std::str::FromStr as _;

use reqwest::Method;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

use crate::{Answer, PATIENCE};

/// A connection on which any bytes can be sent.
#[derive(Debug)]
pub struct Raw {
    stream: TcpStream,
    received: Vec<u8>,
}

impl Raw {
    /// Connects.
    pub async fn connect(address: SocketAddr) -> Self {
        Self { stream: TcpStream::connect(address).await.unwrap(), received: Vec::new() }
    }

    /// Connects from this local address. All of 127.0.0.0/8 are local.
    pub async fn connect_from(source: Ipv4Addr, address: SocketAddr) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind((source, 0).into()).unwrap();
        Self { stream: socket.connect(address).await.unwrap(), received: Vec::new() }
    }

    /// Sends these bytes.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).await.unwrap();
    }

    /// Sends these bytes, unless the server has closed the connection. Returns whether they were sent.
    pub async fn try_send(&mut self, bytes: &[u8]) -> bool {
        timeout(PATIENCE, self.stream.write_all(bytes)).await.is_ok_and(|sent| sent.is_ok())
    }

    /// Reads the next response, which is to a request of this method and path. Every response of the application is checked.
    pub async fn answer(&mut self, method: &str, path: &str) -> Answer {
        let head = self.until(b"\r\n\r\n").await;
        let head = String::from_utf8(head).unwrap();
        let mut lines = head.trim_end().split("\r\n");
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let mut headers = HeaderMap::new();
        for line in lines {
            let (name, value) = line.split_once(": ").unwrap_or_else(|| panic!("{line:?}"));
            headers.append(HeaderName::from_str(name).unwrap(), HeaderValue::from_str(value).unwrap());
        }
        let mut answer = Answer {
            method: method.parse().unwrap(),
            path: path.split('?').next().unwrap_or_default().to_owned(),
            status,
            headers,
            body: Vec::new(),
        };
        if answer.method != Method::HEAD && !matches!(status, 204 | 304) {
            answer.body = self.body(&answer).await;
        }
        // Some requests are rejected by the parser and do not reach the application.
        let from_parser = matches!(status, 400 | 408 | 431) && answer.header("x-request-id").is_none();
        if !from_parser {
            answer.check();
        }
        answer
    }

    async fn body(&mut self, answer: &Answer) -> Vec<u8> {
        if answer.header("transfer-encoding") == Some("chunked") {
            let mut body = Vec::new();
            loop {
                let line = String::from_utf8(self.until(b"\r\n").await).unwrap();
                let length = usize::from_str_radix(line.trim(), 16).unwrap();
                body.extend(self.exactly(length).await);
                self.exactly(2).await;
                if length == 0 {
                    return body;
                }
            }
        }
        let length = answer.header("content-length").map_or(0, |length| length.parse().unwrap());
        self.exactly(length).await
    }

    async fn until(&mut self, end: &[u8]) -> Vec<u8> {
        loop {
            let found = self.received.windows(end.len()).position(|window| window == end);
            if let Some(at) = found {
                return self.received.drain(..at + end.len()).collect();
            }
            self.receive().await;
        }
    }

    async fn exactly(&mut self, length: usize) -> Vec<u8> {
        while self.received.len() < length {
            self.receive().await;
        }
        self.received.drain(..length).collect()
    }

    async fn receive(&mut self) {
        let mut buffer = vec![0; 16 * 1024];
        let read = timeout(PATIENCE, self.stream.read(&mut buffer)).await.expect("no answer");
        let length = read.unwrap();
        assert!(
            length > 0,
            "the connection ended within an answer: {:?}",
            String::from_utf8_lossy(&self.received)
        );
        self.received.extend_from_slice(&buffer[..length]);
    }

    /// Reads until the connection is closed, or until `end` was received.
    pub async fn until_closed_or(&mut self, end: &[u8]) -> Vec<u8> {
        let mut buffer = vec![0; 16 * 1024];
        let ended = |received: &[u8]| received.windows(end.len()).any(|window| window == end);
        while !ended(&self.received) {
            match timeout(PATIENCE, self.stream.read(&mut buffer)).await.expect("the connection stays open") {
                Ok(length @ 1..) => self.received.extend_from_slice(&buffer[..length]),
                _ => break,
            }
        }
        std::mem::take(&mut self.received)
    }

    /// Waits until the server closes the connection, and returns the bytes received until then.
    pub async fn until_closed(&mut self) -> Vec<u8> {
        let mut rest = std::mem::take(&mut self.received);
        let all = async {
            let mut buffer = vec![0; 16 * 1024];
            // A reset also closes the connection.
            while let Ok(length @ 1..) = self.stream.read(&mut buffer).await {
                rest.extend_from_slice(&buffer[..length]);
            }
        };
        timeout(PATIENCE, all).await.expect("the connection stays open");
        rest
    }
}
