//! Engines: one QuickJS runtime for each script and thread, with the script compiled, a clock that interrupts it, and caps
//! on memory and stack.
//!
//! A run leaves an engine as it found it, or the engine is dropped: after a limit was exceeded, and always when the
//! script may change what the engine shares (`analysis`).

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};

use mi_message::{Message, Value};
use rquickjs::context::{EvalOptions, intrinsic};
use rquickjs::object::Property;
use rquickjs::{CatchResultExt, CaughtError, Context, Ctx, Exception, FromJs, Function, Object, Persistent, Runtime};

use crate::api;
use crate::convert;
use crate::host::{self, Running, World, ask};
use crate::limits::Limits;
use crate::om;
use crate::script::{Plan, Script, ScriptError, Task};

/// Most engines that one thread keeps.
const MAX_ENGINES: usize = 32;
/// Bytes that an engine allocates between two looks for circles of garbage.
const GC_THRESHOLD: usize = 1 << 20;
/// The name of the script in stacks.
const SCRIPT: &str = "script";
const E4X: &str = "__e4x";
const E4X_SOURCE: &str = include_str!("js/e4x.js");

/// What engines are made of: the language without anything that reaches out of it.
type Intrinsics = (
    intrinsic::Date,
    intrinsic::Eval,
    intrinsic::RegExpCompiler,
    intrinsic::RegExp,
    intrinsic::Json,
    intrinsic::Proxy,
    intrinsic::MapSet,
    intrinsic::TypedArrays,
    intrinsic::Promise,
    intrinsic::WeakRef,
);

/// What a run gives.
#[derive(Debug)]
pub struct Outcome {
    /// The message, as far as the script changed it.
    pub message: Message,
    /// The value of the script.
    pub result: Result<Value, ScriptError>,
}

/// Stops what runs too long.
#[derive(Debug, Default)]
struct Clock {
    deadline: Cell<Option<Instant>>,
    expired: Cell<bool>,
}

impl Clock {
    fn is_late(&self) -> bool {
        let late = self.deadline.get().is_some_and(|deadline| Instant::now() > deadline + SLEPT.get());
        if late {
            self.expired.set(true);
        }
        late
    }
}

/// A script, compiled. The fields are dropped in this order.
struct Engine {
    script: u64,
    limits: Limits,
    entry: Persistent<Function<'static>>,
    context: Context,
    _runtime: Runtime,
    clock: Rc<Clock>,
    used: u64,
}

#[derive(Default)]
struct Engines {
    kept: Vec<Engine>,
    uses: u64,
}

thread_local! {
    static ENGINES: RefCell<Engines> = RefCell::default();
}

impl Engine {
    fn new(plan: &Plan, limits: Limits) -> Result<Self, ScriptError> {
        let broken = |error: rquickjs::Error| ScriptError::Broken(error.to_string());
        let runtime = Runtime::new().map_err(broken)?;
        runtime.set_memory_limit(limits.memory);
        runtime.set_max_stack_size(limits.stack);
        runtime.set_gc_threshold(GC_THRESHOLD);
        let clock = Rc::new(Clock::default());
        let watched = clock.clone();
        runtime.set_interrupt_handler(Some(Box::new(move || watched.is_late())));
        let context = Context::custom::<Intrinsics>(&runtime).map_err(broken)?;
        let entry = context.with(|ctx| {
            let made = prepare(&ctx, plan).and_then(|()| evaluate::<Function<'_>>(&ctx, &plan.code));
            match made.catch(&ctx) {
                Ok(entry) => Ok(Persistent::save(&ctx, entry)),
                Err(error) => Err(ScriptError::Broken(describe(&error).0)),
            }
        })?;
        Ok(Self { script: plan.id, limits, entry, context, _runtime: runtime, clock, used: 0 })
    }
}

/// Puts into an engine what scripts find there.
fn prepare(ctx: &Ctx<'_>, plan: &Plan) -> rquickjs::Result<()> {
    if matches!(plan.task, Task::Texts) {
        return Ok(());
    }
    api::install(ctx, plan.language, plan.uses_java)?;
    let missing = Function::new(ctx.clone(), |ctx: Ctx<'_>| -> rquickjs::Result<()> {
        ask(&ctx, |running| {
            running.missing_function = true;
            Err("no such method".to_owned())
        })
    })?;
    ctx.globals().prop("__missing", Property::from(missing))?;
    if plan.uses_e4x {
        e4x(ctx)?;
    }
    Ok(())
}

/// The runtime of E4X; it is made when it is first needed.
pub(crate) fn e4x<'js>(ctx: &Ctx<'js>) -> rquickjs::Result<Object<'js>> {
    let globals = ctx.globals();
    if let Some(known) = globals.get::<_, Option<Object<'js>>>(E4X)? {
        return Ok(known);
    }
    let natives = Object::new(ctx.clone())?;
    natives.set("tree", Function::new(ctx.clone(), om::tree)?)?;
    let made: Object<'js> = evaluate_own::<Function<'js>>(ctx, E4X_SOURCE)?.call((natives,))?;
    globals.prop(E4X, Property::from(made.clone()))?;
    Ok(made)
}

/// The value of a source, in the lenient mode that MI's engines have.
fn evaluate<'js, V: FromJs<'js>>(ctx: &Ctx<'js>, source: &str) -> rquickjs::Result<V> {
    evaluate_as(ctx, source, SCRIPT)
}

/// The value of a source of this crate, whose lines are in no message.
pub(crate) fn evaluate_own<'js, V: FromJs<'js>>(ctx: &Ctx<'js>, source: &str) -> rquickjs::Result<V> {
    evaluate_as(ctx, source, "mi")
}

fn evaluate_as<'js, V: FromJs<'js>>(ctx: &Ctx<'js>, source: &str, name: &str) -> rquickjs::Result<V> {
    let mut options = EvalOptions::default();
    options.strict = false;
    options.filename = Some(name.to_owned());
    ctx.eval_with_options(source, options)
}

/// Why a source does not compile, with the place in it.
#[derive(Debug)]
pub(crate) struct CompileError {
    pub(crate) message: String,
    pub(crate) line: usize,
    pub(crate) column: usize,
}

/// Compiles an expression that makes a function, without calling that.
pub(crate) fn compiles(code: &str) -> Result<(), CompileError> {
    let broken = |error: rquickjs::Error| CompileError { message: error.to_string(), line: 1, column: 1 };
    thread_local! {
        static CHECKER: RefCell<Option<Context>> = const { RefCell::new(None) };
    }
    CHECKER.with_borrow_mut(|checker| {
        if checker.is_none() {
            let runtime = Runtime::new().map_err(broken)?;
            runtime.set_memory_limit(Limits::default().memory);
            runtime.set_max_stack_size(Limits::default().stack);
            *checker = Some(Context::custom::<Intrinsics>(&runtime).map_err(broken)?);
        }
        let Some(context) = checker.as_ref() else { return Ok(()) };
        context.with(|ctx| match evaluate::<rquickjs::Value<'_>>(&ctx, code).catch(&ctx) {
            Ok(_) => Ok(()),
            Err(error) => {
                let (message, place) = describe(&error);
                let (line, column) = place.unwrap_or((1, 1));
                Err(CompileError { message, line, column })
            }
        })
    })
}

/// Longest wait by `java.lang.Thread.sleep` in one run, all calls together.
const MAX_SLEEP: Duration = Duration::from_mins(5);

thread_local! {
    /// What the running script has slept; that time is not held against it.
    static SLEPT: Cell<Duration> = const { Cell::new(Duration::ZERO) };
}

/// `java.lang.Thread.sleep`. Scripts that have it run where threads may wait ([`Script::pace`]).
pub(crate) fn sleep(ctx: Ctx<'_>, millis: f64) -> rquickjs::Result<()> {
    let time = Duration::try_from_secs_f64(millis / 1000.0).unwrap_or_default();
    let Some(slept) = slept_after(SLEPT.get(), time) else {
        return Err(Exception::throw_range(&ctx, &format!("a script sleeps {} s at most", MAX_SLEEP.as_secs())));
    };
    std::thread::sleep(time);
    SLEPT.set(slept);
    Ok(())
}

/// What a run has slept after `time` more; `None` if that is too long.
fn slept_after(before: Duration, time: Duration) -> Option<Duration> {
    before.checked_add(time).filter(|slept| *slept <= MAX_SLEEP)
}

/// Runs a script on a message. `arguments` follow `mc` in a call of a function.
pub fn run(script: &Script, message: Message, world: World, arguments: &[Value], limits: Limits) -> Outcome {
    let plan = &*script.0;
    let engine = match checkout(plan, limits) {
        Ok(engine) => engine,
        Err(error) => return Outcome { message, result: Err(error) },
    };
    host::enter(Running::new(message, world, plan.language));
    let (result, lasted) = timed(&engine, limits, || {
        engine.context.with(|ctx| {
            let result = call(&ctx, &engine, plan, arguments).catch(&ctx);
            let result = result.map_err(|error| describe(&error));
            // Errors of tidying up show in the next run, of which there is none then.
            let clean = api::forget(&ctx).and_then(|()| forget_names(&ctx)).is_ok();
            (result, clean)
        })
    });
    script.observe(lasted);
    let (result, clean) = result;
    let running = host::leave();
    let (unread, missing) = running.as_ref().map_or((false, false), |it| (it.unread, it.missing_function));
    let result = match result {
        Ok(value) => Ok(value),
        Err(_) if missing => match &plan.task {
            Task::Function(name) => Err(ScriptError::MissingFunction(name.clone())),
            _ => Err(ScriptError::MissingFunction(String::new())),
        },
        Err(_) if unread => Err(ScriptError::BodyUnread),
        Err(error) => Err(judge(plan, &engine, error)),
    };
    give_back(plan, engine, clean && !matches!(result, Err(ScriptError::Timeout(_) | ScriptError::Memory(_))));
    let message = running.map(|running| running.message).unwrap_or_default();
    Outcome { message, result }
}

/// Runs a script made by [`Script::texts`]. `None` when its result has no form in JSON.
pub fn map(script: &Script, texts: &[&str], limits: Limits) -> Result<Option<String>, ScriptError> {
    let plan = &*script.0;
    let engine = checkout(plan, limits)?;
    let ((result, clean), lasted) = timed(&engine, limits, || {
        engine.context.with(|ctx| {
            let call = || -> rquickjs::Result<Option<String>> {
                let entry = engine.entry.clone().restore(&ctx)?;
                let mut args = rquickjs::function::Args::new(ctx.clone(), texts.len());
                for text in texts {
                    args.push_arg(*text)?;
                }
                let value: rquickjs::Value<'_> = entry.call_arg(args)?;
                if value.is_string() { convert::text(&value).map(Some) } else { Ok(None) }
            };
            let result = call().catch(&ctx).map_err(|error| describe(&error));
            (result, forget_names(&ctx).is_ok())
        })
    });
    script.observe(lasted);
    let result = result.map_err(|error| judge(plan, &engine, error));
    give_back(plan, engine, clean && !matches!(result, Err(ScriptError::Timeout(_) | ScriptError::Memory(_))));
    result
}

fn checkout(plan: &Plan, limits: Limits) -> Result<Engine, ScriptError> {
    let kept = ENGINES.with_borrow_mut(|engines| {
        let at = engines.kept.iter().position(|it| it.script == plan.id && it.limits == limits)?;
        Some(engines.kept.swap_remove(at))
    });
    match kept {
        Some(engine) => Ok(engine),
        None => Engine::new(plan, limits),
    }
}

fn give_back(plan: &Plan, mut engine: Engine, sound: bool) {
    if !sound || plan.traits.leaves_traces {
        return;
    }
    ENGINES.with_borrow_mut(|engines| {
        engines.uses += 1;
        engine.used = engines.uses;
        engines.kept.push(engine);
        if engines.kept.len() > MAX_ENGINES
            && let Some(oldest) = (0..engines.kept.len()).min_by_key(|at| engines.kept[*at].used)
        {
            engines.kept.swap_remove(oldest);
        }
    });
}

fn timed<T>(engine: &Engine, limits: Limits, run: impl FnOnce() -> T) -> (T, Duration) {
    let began = Instant::now();
    engine.clock.expired.set(false);
    SLEPT.set(Duration::ZERO);
    engine.clock.deadline.set(began.checked_add(limits.time));
    let result = run();
    engine.clock.deadline.set(None);
    (result, began.elapsed())
}

fn call<'js>(ctx: &Ctx<'js>, engine: &Engine, plan: &Plan, arguments: &[Value]) -> rquickjs::Result<Value> {
    let entry = engine.entry.clone().restore(ctx)?;
    let mc = api::message_object(ctx)?;
    let value: rquickjs::Value<'js> = if matches!(plan.task, Task::Function(_)) {
        let list = rquickjs::Array::new(ctx.clone())?;
        list.set(0, mc)?;
        for (at, argument) in arguments.iter().enumerate() {
            list.set(at + 1, convert::to_js(ctx, argument)?)?;
        }
        entry.call((list,))?
    } else {
        entry.call((mc,))?
    };
    // What waits for promises that are kept already runs now; there is nothing else to wait for.
    while ctx.execute_pending_job() {
        if engine.clock.is_late() {
            return Err(Exception::throw_message(ctx, "interrupted"));
        }
    }
    if value.is_function() && convert::xml_of(&value)?.is_none() {
        return Ok(Value::Null);
    }
    Ok(convert::from_js(ctx, &value, plan.language)?.unwrap_or(Value::Null))
}

/// Removes the global names that a script made by assigning to undeclared variables.
fn forget_names(ctx: &Ctx<'_>) -> rquickjs::Result<()> {
    let globals = ctx.globals();
    let made: Vec<String> = globals.keys::<String>().collect::<rquickjs::Result<_>>()?;
    made.into_iter().try_for_each(|name| globals.remove(name))
}

/// An error as it prints, and its line and column.
fn describe(error: &CaughtError<'_>) -> (String, Option<(usize, usize)>) {
    match error {
        CaughtError::Exception(exception) => {
            let name = exception.as_object().get::<_, String>("name").unwrap_or_default();
            let message = exception.message().unwrap_or_default();
            let text = if name.is_empty() { message } else { format!("{name}: {message}") };
            (text, exception.stack().as_deref().and_then(place_in))
        }
        CaughtError::Value(value) => {
            let printed = convert::printed(value.ctx(), value);
            (printed.unwrap_or_else(|_| format!("a thrown {}", value.type_name())), None)
        }
        CaughtError::Error(error) => (error.to_string(), None),
    }
}

/// The first `script:LINE:COLUMN` of a stack.
fn place_in(stack: &str) -> Option<(usize, usize)> {
    let (_, rest) = stack.split_once("script:")?;
    let mut numbers = rest.split(|letter: char| !letter.is_ascii_digit());
    let line = numbers.next()?.parse().ok()?;
    Some((line, numbers.next().and_then(|it| it.parse().ok()).unwrap_or(1)))
}

/// What an error of a run means.
fn judge(plan: &Plan, engine: &Engine, (message, place): (String, Option<(usize, usize)>)) -> ScriptError {
    if engine.clock.expired.get() {
        return ScriptError::Timeout(engine.limits.time);
    }
    if message.contains("out of memory") {
        return ScriptError::Memory(engine.limits.memory);
    }
    let place = place.map(|(line, column)| {
        let at = plan.starts.iter().rposition(|(first, _)| *first <= line).unwrap_or(0);
        let (first, width) = plan.starts.get(at).copied().unwrap_or((1, 0));
        let before = if line == first { width } else { 0 };
        let of = if at == 0 { String::new() } else { format!(" of included script {at}") };
        format!("line {}, column {}{of}", line - first + 1, column.saturating_sub(before).max(1))
    });
    ScriptError::Thrown { message, place }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_does_not_sleep_for_ever_by_sleeping_often() {
        let second = Duration::from_secs(1);
        let mut slept = Duration::ZERO;
        for _ in 0..MAX_SLEEP.as_secs() {
            slept = slept_after(slept, second).expect("not too long yet");
        }
        assert_eq!((slept, slept_after(slept, second)), (MAX_SLEEP, None));
        assert_eq!(slept_after(second, Duration::MAX), None);
    }
}
