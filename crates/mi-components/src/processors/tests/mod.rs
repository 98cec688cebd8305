//! Message processors with the stores they work on, on a clock of virtual time; how one class is read stands in its file.

mod testing;

use std::time::Duration;

use mi_engine::inbound::Phase;

use testing::{Does, Lab, after, forwarding, processor};

const REPLY: &str = "message.processor.reply.sequence=reply";

#[tokio::test(start_paused = true)]
async fn one_message_after_each_interval_in_their_order() {
    let lab = Lab::start(&[&forwarding(&["interval=2000", REPLY])]);
    lab.put("s", &["a", "b", "c"]).await;
    after(3000).await;
    assert_eq!(lab.seen("b"), ["0 a", "2000 b"]);
    assert_eq!(lab.size("s"), 1);
    after(7000).await;
    assert_eq!(lab.seen("b"), ["0 a", "2000 b", "4000 c"]);
    assert_eq!((lab.size("s"), lab.seen("reply").len()), (0, 3));
    lab.put("s", &["d"]).await;
    after(1).await;
    assert_eq!(lab.seen("b")[3], "10000 d", "an idle processor wakes up");
}

#[tokio::test(start_paused = true)]
async fn short_intervals_are_pauses_and_none_is_no_pause() {
    for (interval, expected) in [("interval=200", ["0 a", "300 b", "500 c"]), ("interval=0", ["0 a", "100 b", "100 c"])]
    {
        let lab = Lab::start(&[&forwarding(&[interval, REPLY])]);
        lab.script(&[Does::Late(100)]);
        lab.put("s", &["a", "b", "c"]).await;
        after(2000).await;
        assert_eq!(lab.seen("b"), expected, "{interval}");
        lab.put("s", &["d"]).await;
        after(1).await;
        assert_eq!((lab.seen("b").len(), lab.size("s")), (4, 0), "{interval}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_reply_sequence_gets_the_answer() {
    let lab = Lab::start(&[&forwarding(&[REPLY])]);
    lab.put("s", &["a"]).await;
    after(100).await;
    assert_eq!(lab.seen("reply"), ["0 answer"]);
}

#[tokio::test(start_paused = true)]
async fn a_failed_message_is_tried_again_as_it_was_and_before_the_others() {
    let lab =
        Lab::start(&[&forwarding(&["client.retry.interval=3000", REPLY, "message.processor.fault.sequence=failed"])]);
    lab.script(&[Does::Answer(500), Does::Refuse]);
    lab.put("s", &["a", "b"]).await;
    after(7500).await;
    assert_eq!(lab.seen("b"), ["0 a", "3000 a", "6000 a", "6000 b"]);
    // The answer of the back end, or the message when there was none.
    assert_eq!(lab.seen("failed"), ["0 answer", "3000 a"]);
    assert_eq!(lab.size("s"), 0);
}

#[tokio::test(start_paused = true)]
async fn after_the_last_attempt_the_processor_goes_off_and_keeps_the_message() {
    let parameters = ["max.delivery.attempts=2", "message.processor.deactivate.sequence=off", REPLY];
    let lab = Lab::start(&[&forwarding(&parameters)]);
    lab.script(&[Does::Answer(500), Does::Answer(503)]);
    lab.put("s", &["a"]).await;
    after(10_000).await;
    assert_eq!(lab.seen("b"), ["0 a", "1000 a"]);
    assert_eq!((lab.seen("off").len(), lab.is_active("p"), lab.size("s")), (1, false, 1));
    lab.switch("p", Phase::Running);
    after(1).await;
    assert_eq!((lab.seen("b").len(), lab.is_active("p"), lab.size("s")), (3, true, 0));
}

#[tokio::test(start_paused = true)]
async fn a_processor_goes_off_although_its_deactivate_sequence_fails() {
    let lab = Lab::start(&[
        &forwarding(&["max.delivery.attempts=1", "message.processor.deactivate.sequence=broken"]),
        "<sequence name='broken'><store messageStore='not deployed'/></sequence>",
    ]);
    lab.script(&[Does::Answer(500)]);
    lab.put("s", &["a"]).await;
    after(5000).await;
    assert_eq!((lab.is_active("p"), lab.size("s")), (false, 1));
}

#[tokio::test(start_paused = true)]
async fn without_a_number_of_attempts_it_goes_on() {
    let lab = Lab::start(&[&forwarding(&["max.delivery.attempts=-1", REPLY])]);
    lab.script(&[Does::Answer(500); 20]);
    lab.put("s", &["a"]).await;
    after(25_000).await;
    assert_eq!((lab.seen("b").len(), lab.is_active("p"), lab.size("s")), (21, true, 0));
}

#[tokio::test(start_paused = true)]
async fn a_message_is_dropped_when_that_is_wanted() {
    let lab = Lab::start(&[&forwarding(&["max.delivery.attempts=1", "max.delivery.drop=Enabled", REPLY])]);
    lab.script(&[Does::Answer(500)]);
    lab.put("s", &["a", "b"]).await;
    after(3000).await;
    assert_eq!(lab.seen("b"), ["0 a", "1000 b"]);
    assert_eq!((lab.is_active("p"), lab.size("s")), (true, 0));
}

#[tokio::test(start_paused = true)]
async fn a_message_that_cannot_be_delivered_goes_to_the_other_store() {
    let parameters = ["max.delivery.attempts=1", "message.processor.failMessagesStore=dead", REPLY];
    let lab = Lab::start(&[&forwarding(&parameters), "<messageStore name='dead'/>"]);
    lab.script(&[Does::Answer(500)]);
    lab.put("s", &["a", "b"]).await;
    after(3000).await;
    assert_eq!((lab.seen("b").len(), lab.is_active("p"), lab.size("s"), lab.size("dead")), (2, true, 0, 1));
    let dead = lab.engine.snapshot().stores.by_name("dead").cloned().unwrap();
    let claim = dead.claim(&lab.engine.snapshot()).await.unwrap().unwrap();
    assert_eq!(claim.id(), "urn:uuid:1", "it keeps its id");
    assert!(claim.message().properties.get_str("ERROR_MESSAGE").unwrap().starts_with("Transport error: 500"));
    let envelope = claim.message().body.envelope().unwrap();
    assert_eq!(envelope.document().to_xml(envelope.payload().unwrap()), "<a/>", "as it was stored");
}

#[tokio::test(start_paused = true)]
async fn when_the_other_store_takes_nothing_the_message_stays() {
    let parameters = ["max.delivery.attempts=1", "message.processor.failMessagesStore=dead"];
    let full = "<messageStore name='dead'><parameter name='store.max.bytes'>1</parameter></messageStore>";
    for dead in [full, "<messageStore name='elsewhere'/>"] {
        let lab = Lab::start(&[&forwarding(&parameters), dead]);
        lab.script(&[Does::Answer(500)]);
        lab.put("s", &["a"]).await;
        after(3000).await;
        assert_eq!((lab.is_active("p"), lab.size("s")), (false, 1), "{dead}");
    }
}

#[tokio::test(start_paused = true)]
async fn some_statuses_are_as_good_as_200() {
    let lab = Lab::start(&[&forwarding(&["non.retry.status.codes= 409, x,500", REPLY])]);
    lab.script(&[Does::Answer(409), Does::Answer(500), Does::Answer(302)]);
    lab.put("s", &["a", "b", "c"]).await;
    after(2500).await;
    assert_eq!(lab.seen("b"), ["0 a", "1000 b", "2000 c"]);
    assert_eq!((lab.size("s"), lab.seen("reply").len()), (1, 2));
}

#[tokio::test(start_paused = true)]
async fn an_answer_needs_a_reply_sequence_unless_nobody_wants_it() {
    for (out_only, expected) in [(true, (true, 0)), (false, (false, 1))] {
        let lab = Lab::start(&[&forwarding(&[])]);
        lab.put_with("s", "a", |message| {
            if out_only {
                message.properties.set("OUT_ONLY", "true");
            }
        })
        .await;
        after(100).await;
        assert_eq!((lab.is_active("p"), lab.size("s")), expected, "OUT_ONLY {out_only}");
        assert_eq!(lab.seen("b").len(), 1);
    }
    // A failure counts all the same.
    let lab = Lab::start(&[&forwarding(&["max.delivery.attempts=1"])]);
    lab.script(&[Does::Answer(500)]);
    lab.put_with("s", "a", |message| message.properties.set("OUT_ONLY", "true")).await;
    after(100).await;
    assert_eq!((lab.is_active("p"), lab.size("s")), (false, 1));
}

#[tokio::test(start_paused = true)]
async fn how_the_reply_sequence_ends_counts_only_when_it_faults() {
    for (steps, sent) in [("<drop/>", 1), ("<store messageStore='not deployed'/>", 2)] {
        let sequence = format!("<sequence name='own'>{steps}</sequence>");
        let own = "message.processor.reply.sequence=own";
        let lab = Lab::start(&[&forwarding(&[own, "max.delivery.attempts=2"]), &sequence]);
        lab.put("s", &["a"]).await;
        after(5000).await;
        assert_eq!(lab.seen("b").len(), sent, "{steps}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_may_name_its_endpoint() {
    let own = processor("forwarder.ScheduledMessageForwardingProcessor", "", &[REPLY]);
    let other = "<endpoint name='other'><address uri='http://other/'/></endpoint>";
    let lab = Lab::start(&[&own, other]);
    for (name, endpoint) in [("a", "e"), ("b", "other")] {
        lab.put_with("s", name, |message| message.properties.set("target.endpoint", endpoint)).await;
    }
    after(1500).await;
    assert_eq!((lab.seen("b"), lab.seen("other")), (vec!["0 a".to_owned()], vec!["1000 b".to_owned()]));
    lab.put("s", &["c"]).await;
    after(1500).await;
    assert_eq!((lab.is_active("p"), lab.size("s")), (false, 1), "no endpoint at all");
}

#[tokio::test(start_paused = true)]
async fn by_cron_all_messages_go_with_pauses() {
    let lab = Lab::start(&[&forwarding(&["cronExpression=0/20 * * * * ?", "interval=3000", REPLY])]);
    after(1000).await;
    lab.put("s", &["a", "b", "c"]).await;
    after(30_000).await;
    assert_eq!(lab.seen("b"), ["20000 a", "23000 b", "26000 c"]);
}

#[tokio::test(start_paused = true)]
async fn members_work_side_by_side_and_never_on_the_same_message() {
    let lab = Lab::start(&[&forwarding(&["member.count=2", REPLY])]);
    lab.script(&[Does::Late(5000), Does::Late(300)]);
    lab.put("s", &["a", "b", "c"]).await;
    after(3000).await;
    assert_eq!(lab.seen("b"), ["0 a", "0 b", "1000 c"]);
    after(3000).await;
    assert_eq!(lab.size("s"), 0);
}

#[tokio::test(start_paused = true)]
async fn what_was_said_last_holds_after_a_restart() {
    let artifacts = [forwarding(&[REPLY])];
    let artifacts: Vec<&str> = artifacts.iter().map(String::as_str).collect();
    let lab = Lab::start(&artifacts);
    after(1).await;
    lab.switch("p", Phase::Paused);
    let lab = lab.restart(&artifacts).await;
    lab.put("s", &["a"]).await;
    after(5000).await;
    assert_eq!((lab.is_active("p"), lab.size("s")), (false, 1));
    lab.switch("p", Phase::Running);
    after(1).await;
    assert_eq!(lab.size("s"), 0);
    let off = [forwarding(&[REPLY, "is.active=false"])];
    let off: Vec<&str> = off.iter().map(String::as_str).collect();
    let lab = lab.restart(&off).await;
    assert!(lab.is_active("p"), "somebody has switched it on");
    lab.redeploy(&[]);
    lab.redeploy(&off);
    assert!(!lab.is_active("p"), "a processor that was undeployed begins anew");
}

#[tokio::test(start_paused = true)]
async fn switched_off_it_finishes_its_attempt_and_begins_no_other() {
    let lab = Lab::start(&[&forwarding(&[REPLY, "client.retry.interval=60000"])]);
    lab.script(&[Does::Late(500), Does::Answer(500)]);
    lab.put("s", &["a", "b"]).await;
    after(100).await;
    lab.switch("p", Phase::Paused);
    after(10_000).await;
    assert_eq!((lab.seen("b").len(), lab.size("s")), (1, 1));
    lab.switch("p", Phase::Running);
    after(1000).await;
    lab.switch("p", Phase::Paused);
    after(1).await;
    lab.switch("p", Phase::Running);
    after(3000).await;
    assert_eq!((lab.seen("b").len(), lab.size("s")), (3, 0), "the wait between two attempts ends at once");
}

#[tokio::test(start_paused = true)]
async fn a_new_deployment_keeps_the_messages() {
    let first = forwarding(&["is.active=false", REPLY]);
    let lab = Lab::start(&[&first]);
    lab.put("s", &["a", "b"]).await;
    lab.redeploy(&[&first]);
    assert_eq!(lab.size("s"), 2);
    let smaller = "<messageStore name='s'><parameter name='store.max.messages'>2</parameter></messageStore>";
    lab.redeploy(&[&forwarding(&[REPLY]), smaller]);
    assert_eq!(lab.size("s"), 2, "also when its bounds change");
    after(1500).await;
    assert_eq!(lab.size("s"), 0);
}

#[tokio::test(start_paused = true)]
async fn at_the_end_what_was_begun_is_finished_or_given_back() {
    let lab = Lab::start(&[&forwarding(&[REPLY])]);
    lab.script(&[Does::Late(5000)]);
    lab.put("s", &["a", "b"]).await;
    after(10).await;
    assert_eq!(lab.running.stop(Duration::from_secs(10)).await, 0);
    assert_eq!((lab.seen("b").len(), lab.size("s")), (1, 1), "no other was begun");

    let lab = Lab::start(&[&forwarding(&[REPLY])]);
    lab.script(&[Does::Late(5000)]);
    lab.put("s", &["a"]).await;
    after(10).await;
    assert_eq!(lab.running.stop(Duration::from_secs(1)).await, 1);
    assert_eq!(lab.size("s"), 1);
    let store = lab.engine.snapshot().stores.by_name("s").cloned().unwrap();
    assert!(store.claim(&lab.engine.snapshot()).await.unwrap().is_some(), "and nobody has it");
}

#[tokio::test(start_paused = true)]
async fn sampling_runs_a_sequence_for_some_messages_at_a_time() {
    let sampling = processor("sampler.SamplingProcessor", "", &["sequence=slow", "concurrency=2", "interval=1000"]);
    let slow = "<sequence name='slow'><call><endpoint><address uri='http://b/'/></endpoint></call></sequence>";
    let lab = Lab::start(&[&sampling, slow]);
    lab.script(&[Does::Late(2500), Does::Late(2500)]);
    lab.put("s", &["a", "b", "c"]).await;
    after(1500).await;
    assert_eq!(lab.seen("b"), ["0 a", "0 b", "1000 c"], "the next run does not wait");
    assert_eq!(lab.size("s"), 2, "a message leaves when its sequence has ended");
    after(1500).await;
    assert_eq!(lab.size("s"), 0);
}

#[tokio::test(start_paused = true)]
async fn sampled_messages_that_fault_are_gone_or_among_the_dead() {
    let broken = "<sequence name='broken'><store messageStore='not deployed'/></sequence>";
    for (parameters, dead) in
        [(&["sequence=broken"][..], 0), (&["sequence=broken", "message.processor.failMessagesStore=dead"], 1)]
    {
        let sampling = processor("sampler.SamplingProcessor", "", parameters);
        let lab = Lab::start(&[&sampling, broken, "<messageStore name='dead'/>"]);
        lab.put("s", &["a"]).await;
        after(3000).await;
        assert_eq!((lab.size("s"), lab.size("dead"), lab.is_active("p")), (0, dead, true), "{parameters:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn failover_moves_messages_into_another_store() {
    const FAILOVER: &str = "failover.FailoverScheduledMessageForwardingProcessor";
    let small = "<messageStore name='t'><parameter name='store.max.messages'>1</parameter></messageStore>";
    let lab = Lab::start(&[&processor(FAILOVER, "", &["message.target.store.name=t"]), small]);
    lab.put("s", &["a", "b"]).await;
    after(10_000).await;
    assert_eq!((lab.size("s"), lab.size("t"), lab.is_active("p")), (1, 1, true), "it goes on trying");
    let target = lab.engine.snapshot().stores.by_name("t").cloned().unwrap();
    let claim = target.claim(&lab.engine.snapshot()).await.unwrap().unwrap();
    assert_eq!(claim.id(), "urn:uuid:1", "it keeps its id");
    claim.acknowledge().await.unwrap();
    after(2000).await;
    assert_eq!((lab.size("s"), lab.size("t")), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn a_store_that_cannot_be_had_is_waited_for() {
    let lab = Lab::start(&[&forwarding(&[REPLY]).replace("messageStore='s'", "messageStore='later'")]);
    after(5000).await;
    assert!(lab.is_active("p"));
    lab.redeploy(&[
        &forwarding(&[REPLY]).replace("messageStore='s'", "messageStore='later'"),
        "<messageStore name='later'/>",
    ]);
    lab.put("later", &["a"]).await;
    after(2000).await;
    assert_eq!(lab.seen("b").len(), 1);
}

#[tokio::test]
async fn durable_messages_are_delivered_after_a_restart() {
    let data = std::env::temp_dir().join(format!("processors-{}", std::process::id()));
    drop(std::fs::remove_dir_all(&data));
    let store = "<messageStore name='s' class='durable'/>";
    let lab = Lab::start_with(&[store, &forwarding(&["is.active=false", REPLY])], Some(data.clone()));
    lab.put_with("s", "a", |message| message.variables.set("n", 5)).await;
    let lab = lab.restart(&[store, &forwarding(&["interval=10", REPLY])]).await;
    assert_eq!(lab.size("s"), 1);
    let arrived = async {
        while lab.size("s") > 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), arrived).await.expect("it is delivered");
    assert_eq!(lab.seen("b").len(), 1);
    lab.running.stop(Duration::from_secs(1)).await;
    drop(lab);
    drop(std::fs::remove_dir_all(&data));
}

#[tokio::test]
async fn resequenced_messages_leave_by_their_number() {
    let data = std::env::temp_dir().join(format!("resequence-{}", std::process::id()));
    drop(std::fs::remove_dir_all(&data));
    let store = "<messageStore name='s' \
        class='org.apache.synapse.message.store.impl.resequencer.ResequenceMessageStore'>\
        <parameter name='store.resequence.timeout'>-1</parameter>\
        <parameter name='store.resequence.id.path' expression=\"substring-after(local-name(//m/*), 'n')\"/></messageStore>";
    let lab = Lab::start_with(&[store], Some(data.clone()));
    for name in ["m><n2/></m", "m><n3/></m", "m><n1/></m"] {
        let mut message = mi_message::Message::new();
        message.body = mi_message::Body::from_bytes(format!("<{name}>"), Some("application/xml".into()));
        message.build().unwrap();
        let snapshot = lab.engine.snapshot();
        snapshot.stores.by_name("s").unwrap().put(message, None, &snapshot).await.unwrap();
    }
    let store = lab.engine.snapshot().stores.by_name("s").cloned().unwrap();
    for expected in ["n1", "n2", "n3"] {
        let claim = store.claim(&lab.engine.snapshot()).await.unwrap().unwrap();
        let envelope = claim.message().body.envelope().unwrap();
        assert!(envelope.document().to_xml(envelope.payload().unwrap()).contains(expected), "{expected} is next");
        assert!(
            store.claim(&lab.engine.snapshot()).await.unwrap().is_none(),
            "the next is not known before this one is delivered"
        );
        claim.acknowledge().await.unwrap();
    }
    drop((store, lab));
    drop(std::fs::remove_dir_all(&data));
}
