//! One connection, and the statements that it knows.

use std::collections::HashMap;
use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::timeout;
use tokio_postgres::error::{Severity, SqlState};
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{AsyncMessage, Client, NoTls, Row};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::error::{Failure, refused};
use crate::sql::Statement;
use crate::{Config, DatabaseError, Layout, schema, tls};

/// The server is told first, so that it says what it did; this is for when it says nothing.
const GRACE: Duration = Duration::from_secs(2);

/// Texts known to one connection; beyond it begins anew.
const MOST_PREPARED: usize = 256;

/// Opens connections to whichever host takes writes.
#[derive(Debug)]
pub(crate) struct Opener {
    hosts: Vec<tokio_postgres::Config>,
    /// Where it went well last.
    last: AtomicUsize,
    tls: Option<Tls>,
    config: Config,
}

struct Tls(MakeRustlsConnect);

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tls")
    }
}

impl Opener {
    pub(crate) fn new(config: &Config) -> Result<Self, DatabaseError> {
        Ok(Self {
            hosts: config.hosts(),
            last: AtomicUsize::new(0),
            tls: tls::connector(config)?.map(Tls),
            config: config.clone(),
        })
    }

    pub(crate) const fn config(&self) -> &Config {
        &self.config
    }

    /// A connection to the first host that takes writes; the one that did last is asked first.
    pub(crate) async fn open(&self) -> Result<Link, DatabaseError> {
        let (count, last) = (self.hosts.len(), self.last.load(Ordering::Relaxed));
        let mut why = None;
        for nth in (last..count).chain(0..last.min(count)) {
            match self.open_one(&self.hosts[nth]).await {
                Ok(link) => {
                    self.last.store(nth, Ordering::Relaxed);
                    return Ok(link);
                }
                // Of several reasons the one that somebody has to do something about.
                Err(error) if why.as_ref().is_none_or(DatabaseError::passes) => why = Some(error),
                Err(_) => {}
            }
        }
        Err(why.unwrap_or_else(|| DatabaseError::Unreachable("there is no host".to_owned())))
    }

    async fn open_one(&self, host: &tokio_postgres::Config) -> Result<Link, DatabaseError> {
        let limit = self.config.connect_limit;
        let connect = async {
            let (client, wire) = match &self.tls {
                Some(Tls(tls)) => {
                    let (client, mut connection) = host.connect(tls.clone()).await?;
                    (client, Wire::new(move |cx| connection.poll_message(cx)))
                }
                None => {
                    let (client, mut connection) = host.connect(NoTls).await?;
                    (client, Wire::new(move |cx| connection.poll_message(cx)))
                }
            };
            Ok(Link {
                client,
                wire,
                prepared: HashMap::new(),
                prepares: !self.config.pooler,
                limit: self.config.statement_limit,
                versions: 0..0,
            })
        };
        match timeout(limit, connect).await {
            Ok(connected) => connected.map_err(|error: tokio_postgres::Error| refused(&error)),
            Err(_) => Err(DatabaseError::Slow(limit)),
        }
    }

    /// [`Opener::open`], set up for a store, on a database that is as it must be.
    pub(crate) async fn open_checked(
        &self,
        layout: Option<Layout>,
    ) -> Result<(Link, Layout), DatabaseError> {
        let mut link = self.open().await?;
        let layout = match layout.or(self.config.layout) {
            Some(layout) => layout,
            None => schema::layout(&mut link).await?,
        };
        if link.prepares {
            link.run(&self.session(layout))
                .await
                .map_err(Failure::error)?;
        }
        schema::check(&mut link).await?;
        Ok((link, layout))
    }

    /// Each plan is to be made once, and only ever follow the keys: statistics of a table that was empty a minute
    /// ago must not make it read all of it.
    fn session(&self, layout: Layout) -> String {
        let millis = self.config.statement_limit.as_millis().max(1);
        let mut text = format!(
            "SET statement_timeout = {millis}; SET idle_in_transaction_session_timeout = {millis};"
        );
        if layout == Layout::Together {
            for setting in [
                "enable_seqscan",
                "enable_hashjoin",
                "enable_mergejoin",
                "jit",
            ] {
                text.push_str(&format!(" SET {setting} = off;"));
            }
            text.push_str(" SET plan_cache_mode = force_generic_plan;");
        }
        text
    }
}

type Poller =
    dyn FnMut(&mut Context<'_>) -> Poll<Option<Result<AsyncMessage, tokio_postgres::Error>>> + Send;

/// What carries a connection's bytes. It moves while something is driven over it.
struct Wire {
    poll: Box<Poller>,
    ended: bool,
    /// The last warning of the server.
    warning: Option<String>,
}

impl Wire {
    fn new(
        poll: impl FnMut(&mut Context<'_>) -> Poll<Option<Result<AsyncMessage, tokio_postgres::Error>>>
        + Send
        + 'static,
    ) -> Self {
        Self {
            poll: Box::new(poll),
            ended: false,
            warning: None,
        }
    }

    /// Moves bytes until there are no more to move.
    fn turn(&mut self, cx: &mut Context<'_>) {
        while !self.ended {
            match (self.poll)(cx) {
                Poll::Ready(Some(Ok(AsyncMessage::Notice(notice)))) => {
                    let warns = notice.parsed_severity() == Some(Severity::Warning);
                    if warns && *notice.code() == SqlState::WARNING {
                        self.warning = Some(notice.message().to_owned());
                    }
                }
                Poll::Ready(Some(Ok(_))) => {}
                Poll::Ready(Some(Err(_)) | None) => {
                    self.ended = true;
                    // Whoever waits for an answer hears of the end when the connection itself is gone.
                    self.poll = Box::new(|_| Poll::Ready(None));
                }
                Poll::Pending => return,
            }
        }
    }

    async fn drive<T>(&mut self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        poll_fn(|cx| {
            if let Poll::Ready(done) = work.as_mut().poll(cx) {
                return Poll::Ready(done);
            }
            self.turn(cx);
            work.as_mut().poll(cx)
        })
        .await
    }
}

/// A connection. It is polled by whoever uses it, and by [`Link::idle`].
pub(crate) struct Link {
    client: Client,
    wire: Wire,
    prepared: HashMap<String, tokio_postgres::Statement>,
    prepares: bool,
    limit: Duration,
    /// Versions that nobody else has.
    pub(crate) versions: std::ops::Range<i64>,
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Link(ended: {})", self.wire.ended)
    }
}

impl Link {
    /// Waits for `work`, and for the end of the connection; `None` at the latter.
    pub(crate) async fn idle<T>(&mut self, work: impl Future<Output = T>) -> Option<T> {
        let mut work = pin!(work);
        poll_fn(|cx| {
            self.wire.turn(cx);
            if self.wire.ended {
                return Poll::Ready(None);
            }
            work.as_mut().poll(cx).map(Some)
        })
        .await
    }

    /// Runs statements without parameters.
    pub(crate) async fn run(&mut self, text: &str) -> Result<(), Failure> {
        let (client, wire, limit) = (&self.client, &mut self.wire, self.limit + GRACE);
        in_time(limit, wire.drive(client.batch_execute(text))).await
    }

    /// Runs one statement; its rows.
    pub(crate) async fn rows(&mut self, statement: &Statement) -> Result<Vec<Row>, Failure> {
        let mut all = self.pipeline(std::slice::from_ref(statement)).await?;
        Ok(all.pop().unwrap_or_default())
    }

    /// Sends several statements at once, without waiting in between; the rows of each. The first that fails counts.
    pub(crate) async fn pipeline(
        &mut self,
        statements: &[Statement],
    ) -> Result<Vec<Vec<Row>>, Failure> {
        if !self.prepares {
            return self.pipeline_unprepared(statements).await;
        }
        let mut known = Vec::with_capacity(statements.len());
        for statement in statements {
            known.push(self.prepare(statement).await?);
        }
        let (client, wire, limit) = (&self.client, &mut self.wire, self.limit + GRACE);
        let values: Vec<_> = statements.iter().map(parameters).collect();
        let mut calls: Vec<Call<'_>> = Vec::with_capacity(known.len());
        for (known, values) in known.iter().zip(&values) {
            calls.push(Box::pin(client.query(known, values)));
        }
        in_time(limit, wire.drive(in_order(calls))).await
    }

    async fn pipeline_unprepared(
        &mut self,
        statements: &[Statement],
    ) -> Result<Vec<Vec<Row>>, Failure> {
        let (client, wire, limit) = (&self.client, &mut self.wire, self.limit + GRACE);
        let values: Vec<Vec<(&(dyn ToSql + Sync), Type)>> = statements
            .iter()
            .map(|statement| {
                let values = statement.values.iter();
                values
                    .map(|value| (value as &(dyn ToSql + Sync), value.kind()))
                    .collect()
            })
            .collect();
        let mut calls: Vec<Call<'_>> = Vec::with_capacity(values.len());
        for (statement, values) in statements.iter().zip(&values) {
            calls.push(Box::pin(client.query_typed(&statement.text, values)));
        }
        in_time(limit, wire.drive(in_order(calls))).await
    }

    async fn prepare(
        &mut self,
        statement: &Statement,
    ) -> Result<tokio_postgres::Statement, Failure> {
        if let Some(known) = self.prepared.get(&*statement.text) {
            return Ok(known.clone());
        }
        if self.prepared.len() >= MOST_PREPARED {
            self.prepared.clear();
        }
        let types: Vec<_> = statement
            .values
            .iter()
            .map(crate::sql::Param::kind)
            .collect();
        let (client, wire, limit) = (&self.client, &mut self.wire, self.limit + GRACE);
        let known = in_time(
            limit,
            wire.drive(client.prepare_typed(&statement.text, &types)),
        )
        .await?;
        self.prepared
            .insert(statement.text.clone().into_owned(), known.clone());
        Ok(known)
    }

    /// Forgets what the server has warned of before.
    pub(crate) fn forget_warning(&mut self) {
        self.wire.warning = None;
    }

    /// What the server has warned of since.
    pub(crate) fn warning(&mut self) -> Option<String> {
        self.wire.warning.take()
    }

    /// Takes leave of the server, which would complain otherwise.
    pub(crate) async fn close(self) {
        let Self {
            client, mut wire, ..
        } = self;
        drop(client);
        let ended = poll_fn(|cx| {
            wire.turn(cx);
            if wire.ended {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        });
        let _ = timeout(Duration::from_secs(1), ended).await;
    }
}

type Call<'a> = Pin<Box<dyn Future<Output = Result<Vec<Row>, tokio_postgres::Error>> + Send + 'a>>;

fn parameters(statement: &Statement) -> Vec<&(dyn ToSql + Sync)> {
    statement
        .values
        .iter()
        .map(|value| value as &(dyn ToSql + Sync))
        .collect()
}

/// Begins all calls in this order, and waits for all of them.
async fn in_order(mut calls: Vec<Call<'_>>) -> Result<Vec<Vec<Row>>, tokio_postgres::Error> {
    let mut done: Vec<Option<Result<Vec<Row>, tokio_postgres::Error>>> = Vec::new();
    done.resize_with(calls.len(), || None);
    poll_fn(|cx| {
        let mut open = false;
        for (call, done) in calls.iter_mut().zip(&mut done) {
            if done.is_none() {
                match call.as_mut().poll(cx) {
                    Poll::Ready(result) => *done = Some(result),
                    Poll::Pending => open = true,
                }
            }
        }
        if open { Poll::Pending } else { Poll::Ready(()) }
    })
    .await;
    done.into_iter().flatten().collect()
}

async fn in_time<T>(
    limit: Duration,
    work: impl Future<Output = Result<T, tokio_postgres::Error>>,
) -> Result<T, Failure> {
    match timeout(limit, work).await {
        Ok(done) => done.map_err(Failure::from),
        Err(_) => Err(Failure::Unknown(DatabaseError::Slow(limit))),
    }
}
