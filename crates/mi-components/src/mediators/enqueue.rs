//! `<enqueue>` hands the message to a priority executor, which runs a sequence with it; the flow itself goes on.

use std::sync::Arc;

use mi_config::{Diagnostic, Element};
use mi_engine::build::BuildCx;
use mi_engine::context::{Context, SequenceTarget};
use mi_engine::fault::Fault;
use mi_engine::mediator::{Flow, Mediator};
use mi_engine::spec::MediatorSpec;

use crate::executors::{Executors, Refusal};

pub(super) const SPEC: MediatorSpec =
    MediatorSpec::new("enqueue", parse).attributes(&["sequence", "priority", "executor"]).children(&[]);

/// MI: `EnqueueMediator`.
#[derive(Debug)]
struct Enqueue {
    sequence: SequenceTarget,
    name: Arc<str>,
    executor: Arc<str>,
    priority: i32,
}

fn parse(el: &Element, cx: &mut BuildCx<'_>) -> Result<Box<dyn Mediator>, Diagnostic> {
    let name = el.qualify(&el.require_attr("sequence")?)?;
    let priority = el.int_attr("priority")?.unwrap_or_default();
    let wrong = || el.error(format!("the priority {priority} is no 32-bit number"));
    Ok(Box::new(Enqueue {
        sequence: SequenceTarget::Named(cx.sequence_ref(&name)),
        name: name.into(),
        executor: el.require_attr("executor")?.into(),
        priority: i32::try_from(priority).map_err(|_| wrong())?,
    }))
}

impl Mediator for Enqueue {
    fn mediate(&self, cx: &mut Context) -> Result<Flow, Fault> {
        let sequence = cx.resolve(&self.sequence);
        let sequence = sequence.map_err(|_| Fault::new(format!("Sequence cannot be found : {}", self.name)))?;
        let executor = cx.snapshot.shared.get::<Executors>().and_then(|all| all.get(&self.executor)).cloned();
        let Some(executor) = executor else {
            log::warn!(
                target: "EnqueueMediator",
                "{}Cannot find executor {}. Using existing thread for mediation", cx.artifact.log_prefix, self.executor
            );
            return Ok(Flow::Enter(sequence));
        };
        // A body that nobody has read goes with the message that is queued.
        let copy = cx.message.copy();
        let queued = std::mem::replace(&mut cx.message, Box::new(copy));
        executor.execute(cx.fork(queued), sequence, self.priority).map_err(|refusal| match refusal {
            Refusal::Exhausted => Fault::new(format!(
                "Unable to process message in priority executor {} with priority {}. Thread pool exhausted.",
                self.executor, self.priority
            )),
            Refusal::NoQueue => Fault::new(format!(
                "The priority executor {} has no queue of priority {}",
                self.executor, self.priority
            )),
        })?;
        cx.exchange.note_send();
        Ok(Flow::Next)
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{Flowing, log_lines};

    const SEQUENCE: &str = "<log level='custom'><property name='ran' expression='get-property(\"n\")'/></log>";

    /// Enqueues messages with these numbers and priorities one after the other; what ran, in order.
    fn run(executor: &str, messages: &[(u32, i32)]) -> (Vec<String>, Option<String>) {
        let steps: Vec<String> = messages
            .iter()
            .map(|(number, priority)| {
                format!(
                    "<property name='n' value='{number}'/><enqueue sequence='s' executor='e' priority='{priority}'/>"
                )
            })
            .collect();
        let mut fault = None;
        let lines = log_lines(|| {
            fault = Flowing::of(&format!("<rules>{}</rules>", steps.concat()))
                .sequence("s", SEQUENCE)
                .endpoint(&format!("<priorityExecutor name='e'>{executor}</priorityExecutor>"))
                .json("{}")
                .run()
                .fault();
        });
        (lines.iter().filter_map(|line| line.rsplit("ran = ").next().map(str::to_owned)).collect(), fault)
    }

    const ONE: &str = "<threads core='1' max='1'/>";

    #[test]
    fn queues_take_turns_by_their_priority() {
        let queues = format!("<queues><queue priority='1'/><queue priority='2'/></queues>{ONE}");
        let (ran, fault) = run(&queues, &[(1, 1), (2, 1), (3, 1), (4, 2), (5, 2), (6, 2)]);
        assert_eq!(fault, None);
        // The first has begun before any other waits; then two of priority 2 for each of priority 1.
        assert_eq!(ran, ["1", "4", "5", "2", "6", "3"]);
    }

    #[test]
    fn a_full_queue_is_a_fault() {
        let (ran, fault) =
            run(&format!("<queues><queue priority='1' size='1'/></queues>{ONE}"), &[(1, 1), (2, 1), (3, 1)]);
        assert_eq!(ran, ["1", "2"]);
        assert_eq!(
            fault.as_deref(),
            Some("Unable to process message in priority executor e with priority 1. Thread pool exhausted.")
        );
        let (_, fault) = run(&format!("<queues><queue priority='1'/></queues>{ONE}"), &[(1, 7)]);
        assert_eq!(fault.as_deref(), Some("The priority executor e has no queue of priority 7"));
    }

    #[test]
    fn without_the_executor_the_sequence_runs_in_the_flow() {
        let xml = "<enqueue sequence='s' executor='none'/><property name='after' expression='$ctx:a'/>";
        let outcome = Flowing::of(xml).sequence("s", "<property name='a' value='1'/>").run();
        assert_eq!(outcome.property("after").as_deref(), Some("1"));
        let outcome = Flowing::of("<enqueue sequence='none' executor='e'/>").run();
        assert_eq!(outcome.fault().as_deref(), Some("Sequence cannot be found : none"));
    }

    #[test]
    fn wrong_configurations_are_refused() {
        assert!(Flowing::error_of("<enqueue executor='e'/>").contains("'sequence'"));
        assert!(Flowing::error_of("<enqueue sequence='s'/>").contains("'executor'"));
        assert!(Flowing::error_of("<enqueue sequence='s' executor='e' priority='x'/>").contains("whole number"));
    }
}
