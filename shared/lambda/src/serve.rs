//! The loop over invocations: event in, handler, log lines out, answer back.

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::Poll;

use bytes::Bytes;
use http::{Request, Response};
use lambda_runtime::{LambdaEvent, Runtime, service_fn};
use serde::Serialize;
use serde_json::value::RawValue;
use tributary_access::problem_response;
use tributary_model::{Level, Problem};
use tributary_ports::stream::{Batch, SequenceNumber};
use tributary_telemetry::{Facts, Metrics, Telemetry};

use crate::http::{HttpAnswer, HttpEvent};
use crate::kinesis::BatchAnswer;
use crate::{Error, FunctionError, Invoked, http as http_events, kinesis};

/// Answers HTTP events until the process ends. What `handle` finds is logged and written out before each answer: Lambda may
/// freeze the process for ever after it.
///
/// # Errors
/// If the Runtime API can't be reached.
pub async fn serve_http<R: Facts>(
    telemetry: &Telemetry,
    handle: impl AsyncFn(Invoked, Request<Bytes>) -> (Response<Bytes>, R),
) -> Result<(), Error> {
    let handle = &handle;
    let service = service_fn(move |event: LambdaEvent<Box<RawValue>>| async move {
        let invoked = Invoked::now(&event.context);
        let HttpEvent { form, request } = http_events::read(event.payload.get())?;
        let response = match request {
            Ok(request) => {
                let (response, facts) = caught(handle(invoked, request)).await?;
                telemetry.emit(invoked.at, &facts);
                response
            }
            Err(problem) => {
                telemetry.emit(invoked.at, &RefusedFacts::from(&problem));
                problem_response(&problem)
            }
        };
        telemetry.flush();
        Ok::<_, FunctionError>(HttpAnswer { form, response })
    });
    Runtime::new(service).run().await
}

/// Answers Kinesis events until the process ends; an event that can't be read comes again whole. Logs as [`serve_http`]
/// does.
///
/// # Errors
/// If the Runtime API can't be reached.
pub async fn serve_batches<R: Facts>(
    telemetry: &Telemetry,
    handle: impl AsyncFn(Invoked, Batch) -> (Vec<SequenceNumber>, R),
) -> Result<(), Error> {
    let handle = &handle;
    let service = service_fn(move |event: LambdaEvent<Box<RawValue>>| async move {
        let invoked = Invoked::now(&event.context);
        let batch = kinesis::read(event.payload.get())?;
        drop(event); // a batch is megabytes, and is held twice by now
        let (redeliver, facts) = caught(handle(invoked, batch)).await?;
        telemetry.emit(invoked.at, &facts);
        telemetry.flush();
        Ok::<_, FunctionError>(BatchAnswer::from(redeliver))
    });
    Runtime::new(service).run().await
}

/// Answers what a schedule sends, whatever it says, until the process ends. Logs as [`serve_http`] does.
///
/// # Errors
/// If the Runtime API can't be reached.
pub async fn serve_schedule<R: Facts>(telemetry: &Telemetry, handle: impl AsyncFn(Invoked) -> R) -> Result<(), Error> {
    let handle = &handle;
    let service = service_fn(move |event: LambdaEvent<Box<RawValue>>| async move {
        let invoked = Invoked::now(&event.context);
        let facts = caught(handle(invoked)).await?;
        telemetry.emit(invoked.at, &facts);
        telemetry.flush();
        Ok::<_, FunctionError>(())
    });
    Runtime::new(service).run().await
}

/// Makes a function error of a panic.
async fn caught<T>(handling: impl Future<Output = T>) -> Result<T, FunctionError> {
    let mut handling = pin!(handling);
    poll_fn(|context| match catch_unwind(AssertUnwindSafe(|| handling.as_mut().poll(context))) {
        Ok(polled) => polled.map(Ok),
        Err(_) => Poll::Ready(Err(FunctionError::Panicked)),
    })
    .await
}

/// A request that no handler saw.
#[derive(Serialize)]
struct RefusedFacts<'a> {
    status: u16,
    detail: &'a str,
}

impl<'a> From<&'a Problem> for RefusedFacts<'a> {
    fn from(problem: &'a Problem) -> Self {
        Self { status: problem.status, detail: &problem.detail }
    }
}

impl Facts for RefusedFacts<'_> {
    const EVENT: &'static str = "lambda.refused";

    fn level(&self) -> Level {
        Level::Warn
    }

    fn count(&self, _metrics: &Metrics) {}
}
