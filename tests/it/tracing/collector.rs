//! A collector of OpenTelemetry that shows what it took, and a destination that shows its headers: both at
//! one address.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;

#[derive(Clone)]
pub struct Collector {
    address: String,
    requests: Arc<Mutex<Vec<Request>>>,
    /// What the destination answers, the last first; then 201.
    statuses: Arc<Mutex<Vec<u16>>>,
}

#[derive(Clone)]
pub struct Request {
    pub path: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Collector {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let collector = Self { address, requests: Arc::default(), statuses: Arc::default() };
        let at_work = collector.clone();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let at_work = at_work.clone();
                thread::spawn(move || at_work.serve(&stream.unwrap()));
            }
        });
        collector
    }

    pub fn address(&self) -> &str {
        &self.address
    }

    pub fn the_destination_answers(&self, statuses: &[u16]) {
        *self.statuses.lock().unwrap() = statuses.iter().rev().copied().collect();
    }

    /// The requests to paths that begin like this.
    pub fn requests(&self, path: &str) -> Vec<Request> {
        let requests = self.requests.lock().unwrap();
        requests.iter().filter(|request| request.path.starts_with(path)).cloned().collect()
    }

    /// Every span that was taken, in order.
    pub fn spans(&self) -> Vec<Span> {
        self.requests("/v1/traces")
            .iter()
            .map(|request| ExportTraceServiceRequest::decode(&*request.body).unwrap())
            .flat_map(|request| request.resource_spans)
            .flat_map(|of_resource| of_resource.scope_spans)
            .flat_map(|of_scope| of_scope.spans)
            .collect()
    }

    fn serve(&self, stream: &TcpStream) {
        let mut reader = BufReader::new(stream);
        while let Some(request) = Request::read(&mut reader) {
            let status = match request.path.as_str() {
                "/v1/traces" => 200,
                _ => self.statuses.lock().unwrap().pop().unwrap_or(201),
            };
            self.requests.lock().unwrap().push(request);
            let response = format!("HTTP/1.1 {status} So\r\ncontent-length: 2\r\n\r\n{{}}");
            if (&mut &*stream).write_all(response.as_bytes()).is_err() {
                return;
            }
        }
    }
}

impl Request {
    fn read(reader: &mut impl BufRead) -> Option<Self> {
        let mut line = || {
            let mut line = String::new();
            reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
            Some(line.trim_end().to_owned())
        };
        let path = line()?.split(' ').nth(1)?.to_owned();
        let mut headers = Vec::new();
        loop {
            let line = line()?;
            let Some((name, value)) = line.split_once(':') else { break };
            headers.push((name.to_lowercase(), value.trim().to_owned()));
        }
        let mut request = Self { path, headers, body: Vec::new() };
        let length = request.header("content-length").map_or(0, |length| length.parse().unwrap());
        request.body = vec![0; length];
        reader.read_exact(&mut request.body).ok()?;
        Some(request)
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// An attribute of a span as text; empty if there is none.
pub fn attribute(span: &Span, key: &str) -> String {
    let found = span.attributes.iter().find(|it| it.key == key);
    match found.and_then(|it| it.value.clone()?.value) {
        Some(Value::StringValue(text)) => text,
        Some(Value::IntValue(number)) => number.to_string(),
        Some(Value::BoolValue(flag)) => flag.to_string(),
        other => other.map(|it| format!("{it:?}")).unwrap_or_default(),
    }
}

pub fn hex(bytes: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(bytes)
}
