//! The natives under `js/om.js`: elements of the message and of documents that the script parses, by handle.

use chrono::{DateTime, FixedOffset};
use mi_expr::xpath::{Context, Env, Item, Sequence, XPath, XPathError};
use mi_xml::{Document, NodeId, NodeKind};
use rquickjs::object::Property;
use rquickjs::{Array, Ctx, Exception, Function, IntoJs, Object, Result, Value};

use crate::host::{self, Handle, Place, Running, ask};

/// Where the classes of `js/om.js` are kept, out of sight of `for … in`.
const CLASSES: &str = "__om";
const SOURCE: &str = include_str!("js/om.js");
const STRINGS: &str = include_str!("js/strings.js");

/// The classes; they are made when they are first needed.
pub(crate) fn classes<'js>(ctx: &Ctx<'js>) -> Result<Object<'js>> {
    let globals = ctx.globals();
    if let Some(known) = globals.get::<_, Option<Object<'js>>>(CLASSES)? {
        return Ok(known);
    }
    let make: Function<'js> = crate::engine::evaluate_own(ctx, SOURCE)?;
    let classes: Object<'js> = make.call((natives(ctx)?,))?;
    globals.prop(CLASSES, Property::from(classes.clone()))?;
    Ok(classes)
}

/// Gives strings the methods of Java's.
pub(crate) fn java_strings(ctx: &Ctx<'_>) -> Result<()> {
    let bytes: Value<'_> = classes(ctx)?.get("Bytes")?;
    let install: Function<'_> = crate::engine::evaluate_own(ctx, STRINGS)?;
    install.call((bytes,))
}

/// The object for a handle.
pub(crate) fn element<'js>(ctx: &Ctx<'js>, handle: u32) -> Result<Value<'js>> {
    classes(ctx)?.get::<_, Function<'js>>("wrap")?.call((handle,))
}

fn natives<'js>(ctx: &Ctx<'js>) -> Result<Object<'js>> {
    let natives = Object::new(ctx.clone())?;
    reading(ctx, &natives)?;
    walking(ctx, &natives)?;
    changing(ctx, &natives)?;
    expressions(ctx, &natives)?;
    Ok(natives)
}

/// Defines a native that reads an element.
macro_rules! read {
    ($natives:ident, $ctx:ident, $name:literal, |$document:ident, $node:ident $(, $arg:ident : $kind:ty)*| $body:expr) => {
        $natives.set($name, Function::new($ctx.clone(), |ctx: Ctx<'js>, handle: u32 $(, $arg: $kind)*| {
            look(&ctx, handle, |$document: &Document, $node: NodeId| $body)
        })?)?;
    };
}

/// Defines a native that changes an element.
macro_rules! change {
    ($natives:ident, $ctx:ident, $name:literal, |$document:ident, $node:ident $(, $arg:ident : $kind:ty)*| $body:expr) => {
        $natives.set($name, Function::new($ctx.clone(), |ctx: Ctx<'js>, handle: u32 $(, $arg: $kind)*| {
            edit(&ctx, handle, |$document: &mut Document, $node: NodeId| $body)
        })?)?;
    };
}

fn reading<'js>(ctx: &Ctx<'js>, natives: &Object<'js>) -> Result<()> {
    read!(natives, ctx, "text", |document, node| own_text(document, node));
    read!(natives, ctx, "allText", |document, node| document.string_value(node).to_string());
    read!(natives, ctx, "local", |document, node| document.local_name(node).to_owned());
    read!(natives, ctx, "uri", |document, node| document.namespace(node).to_owned());
    read!(natives, ctx, "prefix", |document, node| document.prefix(node).to_owned());
    read!(natives, ctx, "xml", |document, node| document.to_xml(node));
    read!(natives, ctx, "attribute", |document, node, uri: String, local: String| {
        document.attribute(node, &uri, &local).map(|value| value.to_string())
    });
    read!(natives, ctx, "attributes", |document, node| {
        let row = |it| {
            vec![
                document.prefix(it).to_owned(),
                document.namespace(it).to_owned(),
                document.local_name(it).to_owned(),
                document.value(it).to_string(),
            ]
        };
        document.attributes(node).map(row).collect::<Vec<_>>()
    });
    Ok(())
}

/// The text children, one behind the other. MI: `OMElement#getText`.
fn own_text(document: &Document, node: NodeId) -> String {
    document
        .children(node)
        .filter(|it| document.kind(*it) == NodeKind::Text)
        .map(|it| document.value(it).to_string())
        .collect()
}

fn walking<'js>(ctx: &Ctx<'js>, natives: &Object<'js>) -> Result<()> {
    let related = |name: &'static str, find: fn(&Document, NodeId) -> Vec<NodeId>| -> Result<()> {
        let native = Function::new(ctx.clone(), move |ctx: Ctx<'js>, handle: u32| {
            ask(&ctx, |running| {
                let Handle { place, node } = running.node(handle)?;
                let found = find(running.look(place)?, node);
                found.into_iter().map(|it| running.hold(place, it)).collect::<std::result::Result<Vec<u32>, _>>()
            })
        })?;
        natives.set(name, native)
    };
    related("elements", |document, node| document.child_elements(node).collect())?;
    related("descendants", |document, node| {
        document.descendants(node).filter(|it| *it != node && document.is_element(*it)).collect()
    })?;
    let one = |name: &'static str, find: fn(&Document, NodeId) -> Option<NodeId>| -> Result<()> {
        let native = Function::new(ctx.clone(), move |ctx: Ctx<'js>, handle: u32| {
            ask(&ctx, |running| {
                let Handle { place, node } = running.node(handle)?;
                let found = find(running.look(place)?, node);
                found.map(|it| running.hold(place, it)).transpose()
            })
        })?;
        natives.set(name, native)
    };
    one("next", |document, node| document.next_sibling_element(node))?;
    one("parent", |document, node| document.parent(node).filter(|it| document.is_element(*it)))?;
    let parse = Function::new(ctx.clone(), |ctx: Ctx<'js>, text: String| {
        ask(&ctx, |running| {
            let document = Document::parse(text.into_bytes()).map_err(|error| error.to_string())?;
            running.adopt(document)
        })
    })?;
    natives.set("parse", parse)?;
    natives.set("sleep", Function::new(ctx.clone(), crate::engine::sleep)?)?;
    natives.set(
        "uuid",
        Function::new(ctx.clone(), |ctx: Ctx<'js>| {
            ask(&ctx, |running| Ok(running.world.lookup.new_id().trim_start_matches("urn:uuid:").to_owned()))
        })?,
    )?;
    natives.set("byteLength", Function::new(ctx.clone(), |text: String| text.len() as u32)?)
}

fn changing<'js>(ctx: &Ctx<'js>, natives: &Object<'js>) -> Result<()> {
    change!(natives, ctx, "setText", |document, node, text: String| document.set_text(node, &text));
    change!(natives, ctx, "rename", |document, node, prefix: String, local: String, uri: String| {
        document.rename(node, &prefix, &local, &uri);
    });
    change!(natives, ctx, "declare", |document, node, prefix: String, uri: String| {
        document.declare_namespace(node, &prefix, &uri);
    });
    change!(natives, ctx, "removeAttribute", |document, node, uri: String, local: String| {
        document.remove_attribute(node, &uri, &local);
    });
    change!(natives, ctx, "detach", |document, node| document.detach(node));
    let set = |ctx: Ctx<'js>, handle: u32, prefix: String, uri: String, local: String, value: String| {
        edit(&ctx, handle, |document, node| {
            document.set_attribute(node, &prefix, &local, &uri, &value);
        })
    };
    natives.set("setAttribute", Function::new(ctx.clone(), set)?)?;
    let append = |ctx: Ctx<'js>, parent: u32, child: u32| {
        ask(&ctx, |running| {
            let place = running.node(parent)?;
            let moved = bring(running, child, place.place)?;
            if within(running.look(place.place)?, place.node, moved) {
                return Err("an element cannot become a part of itself".to_owned());
            }
            running.document(place.place)?.append_child(place.node, moved);
            Ok(())
        })
    };
    natives.set("append", Function::new(ctx.clone(), append)?)?;
    let insert = |ctx: Ctx<'js>, at: u32, new: u32, behind: bool| {
        ask(&ctx, |running| {
            let place = running.node(at)?;
            let has_parent = running.look(place.place)?.parent(place.node).is_some();
            let moved = bring(running, new, place.place)?;
            let document = running.document(place.place)?;
            if !has_parent || within(document, place.node, moved) {
                return Err("an element can only be put beside one that has a parent".to_owned());
            }
            if behind {
                document.insert_after(place.node, moved);
            } else {
                document.insert_before(place.node, moved);
            }
            Ok(())
        })
    };
    natives.set("insert", Function::new(ctx.clone(), insert)?)?;
    let copy = |ctx: Ctx<'js>, handle: u32| {
        ask(&ctx, |running| {
            let Handle { place, node } = running.node(handle)?;
            let mut own = Document::new();
            let copy = own.import(running.look(place)?, node);
            own.append_child(Document::ROOT, copy);
            running.adopt(own)
        })
    };
    natives.set("copy", Function::new(ctx.clone(), copy)?)
}

/// True when `node` is `whole` or lies in it.
fn within(document: &Document, node: NodeId, whole: NodeId) -> bool {
    node == whole || document.ancestors(node).any(|it| it == whole)
}

/// Takes an element out of where it is, for another place; its handle follows it.
fn bring(running: &mut Running, handle: u32, to: Place) -> std::result::Result<NodeId, String> {
    let Handle { place, node } = running.node(handle)?;
    if place == to {
        running.document(place)?.detach(node);
        return Ok(node);
    }
    let mut carrier = Document::new();
    let carried = carrier.import(running.look(place)?, node);
    let moved = running.document(to)?.import(&carrier, carried);
    running.document(place)?.detach(node);
    running.nodes[handle as usize] = Handle { place: to, node: moved };
    Ok(moved)
}

fn look<T>(ctx: &Ctx<'_>, handle: u32, read: impl FnOnce(&Document, NodeId) -> T) -> Result<T> {
    ask(ctx, |running| {
        let Handle { place, node } = running.node(handle)?;
        Ok(read(running.look(place)?, node))
    })
}

fn edit<T>(ctx: &Ctx<'_>, handle: u32, change: impl FnOnce(&mut Document, NodeId) -> T) -> Result<T> {
    ask(ctx, |running| {
        let Handle { place, node } = running.node(handle)?;
        Ok(change(running.document(place)?, node))
    })
}

// === XPath ===

/// Most compiled expressions that one run keeps.
const MAX_XPATHS: usize = 64;

/// No variables, no functions of a host, no clock: MI's `AXIOMXPath` has none either.
struct Nothing;

impl<'d> Env<'d> for Nothing {
    fn variable(&self, prefix: &str, local: &str) -> std::result::Result<Sequence<'d>, XPathError> {
        let name = if prefix.is_empty() { local.to_owned() } else { format!("{prefix}:{local}") };
        Err(XPathError::UnknownVariable { name })
    }

    fn function(
        &self,
        _prefix: &str,
        _namespace: &str,
        _local: &str,
        _args: &[Sequence<'d>],
    ) -> Option<std::result::Result<Sequence<'d>, XPathError>> {
        None
    }

    fn now(&self) -> DateTime<FixedOffset> {
        DateTime::default()
    }
}

fn compiled(running: &mut Running, source: &str, names: &[Vec<String>]) -> std::result::Result<XPath, String> {
    if names.is_empty()
        && let Some(known) = running.xpaths.get(source)
    {
        return Ok(known.clone());
    }
    let uri = |prefix: &str| {
        let found = names.iter().find(|it| it.first().is_some_and(|name| name == prefix));
        found.and_then(|it| it.get(1).cloned())
    };
    let xpath = XPath::compile(source, &uri).map_err(|error| error.to_string())?;
    if names.is_empty() && running.xpaths.len() < MAX_XPATHS {
        running.xpaths.insert(source.to_owned(), xpath.clone());
    }
    Ok(xpath)
}

fn expressions<'js>(ctx: &Ctx<'js>, natives: &Object<'js>) -> Result<()> {
    // Names may be declared after the expression is made, so that only what needs none is checked here.
    let check = |ctx: Ctx<'js>, source: String, names: Vec<Vec<String>>| {
        ask(&ctx, |running| match compiled(running, &source, &names) {
            Err(error) if !source.contains(':') => Err(error),
            _ => Ok(()),
        })
    };
    natives.set("checkXPath", Function::new(ctx.clone(), check)?)?;
    natives.set("select", Function::new(ctx.clone(), select)?)?;
    let string = |ctx: Ctx<'js>, source: String, names: Vec<Vec<String>>, handle: u32| {
        evaluate(&ctx, &source, &names, handle, |xpath, context| {
            xpath.evaluate_string(context, &Nothing).map(|text| text.to_string())
        })
    };
    natives.set("xpathString", Function::new(ctx.clone(), string)?)?;
    let boolean = |ctx: Ctx<'js>, source: String, names: Vec<Vec<String>>, handle: u32| {
        evaluate(&ctx, &source, &names, handle, |xpath, context| xpath.evaluate_boolean(context, &Nothing))
    };
    natives.set("xpathBoolean", Function::new(ctx.clone(), boolean)?)
}

fn evaluate<T>(
    ctx: &Ctx<'_>,
    source: &str,
    names: &[Vec<String>],
    handle: u32,
    run: impl for<'d> FnOnce(&XPath, &Context<'d>) -> std::result::Result<T, XPathError>,
) -> Result<T> {
    ask(ctx, |running| {
        let xpath = compiled(running, source, names)?;
        let Handle { place, node } = running.node(handle)?;
        let document = running.look(place)?;
        run(&xpath, &Context::node(document, node)).map_err(|error| error.to_string())
    })
}

/// What an expression selects: handles of elements, texts of everything else.
enum Found {
    Element(NodeId),
    Text(String),
}

fn select(ctx: Ctx<'_>, source: String, names: Vec<Vec<String>>, handle: u32) -> Result<Array<'_>> {
    let found = evaluate(&ctx, &source, &names, handle, |xpath, context| {
        let sequence = xpath.evaluate_in(context, &Nothing)?;
        let found = sequence.iter().map(|item| match item {
            Item::Node(node) if node.doc.is_element(node.id) => Found::Element(node.id),
            other => Found::Text(Sequence::from_items(vec![other]).to_str().to_string()),
        });
        Ok(found.collect::<Vec<_>>())
    })?;
    let result = Array::new(ctx.clone())?;
    for (at, found) in found.into_iter().enumerate() {
        let value = match found {
            Found::Element(node) => host::ask(&ctx, |running| {
                let place = running.node(handle)?.place;
                running.hold(place, node)
            })?
            .into_js(&ctx)?,
            Found::Text(text) => text.into_js(&ctx)?,
        };
        result.set(at, value)?;
    }
    Ok(result)
}

/// The tree of a markup as JSON text for `js/e4x.js`: texts as strings, elements as
/// `[prefix, uri, local, [[prefix, uri, local, value]…], [[prefix, uri]…], [child…]]`. Comments are left out.
pub(crate) fn tree(ctx: Ctx<'_>, markup: String) -> Result<String> {
    let document = Document::parse(markup.into_bytes())
        .map_err(|error| Exception::throw_message(&ctx, &format!("the XML cannot be read: {error}")))?;
    let Some(root) = document.root_element() else {
        return Err(Exception::throw_message(&ctx, "the XML has no element"));
    };
    let mut out = String::new();
    let mut node = root;
    // Depth is the parser's cap; the walk keeps no stack of its own.
    open(&document, node, &mut out);
    loop {
        if let Some(child) = document.first_child(node).filter(|_| document.is_element(node)) {
            node = child;
            open(&document, node, &mut out);
            continue;
        }
        loop {
            if document.is_element(node) {
                out.push_str("]]");
            }
            if node == root {
                return Ok(out);
            }
            if let Some(next) = document.next_sibling(node) {
                node = next;
                if document.is_element(node) || document.kind(node) == NodeKind::Text {
                    separate(&mut out);
                }
                open(&document, node, &mut out);
                break;
            }
            node = document.parent(node).unwrap_or(root);
        }
    }
}

fn separate(out: &mut String) {
    if !out.ends_with('[') {
        out.push(',');
    }
}

fn open(document: &Document, node: NodeId, out: &mut String) {
    let quoted = |text: &str| serde_json::Value::from(text).to_string();
    match document.kind(node) {
        NodeKind::Text => out.push_str(&quoted(&document.value(node))),
        NodeKind::Element => {
            out.push_str(&format!(
                "[{},{},{},[",
                quoted(document.prefix(node)),
                quoted(document.namespace(node)),
                quoted(document.local_name(node))
            ));
            let attributes: Vec<String> = document
                .attributes(node)
                .map(|it| {
                    format!(
                        "[{},{},{},{}]",
                        quoted(document.prefix(it)),
                        quoted(document.namespace(it)),
                        quoted(document.local_name(it)),
                        quoted(&document.value(it))
                    )
                })
                .collect();
            let spaces: Vec<String> = document
                .namespace_decls(node)
                .map(|it| format!("[{},{}]", quoted(document.local_name(it)), quoted(&document.value(it))))
                .collect();
            out.push_str(&format!("{}],[{}],[", attributes.join(","), spaces.join(",")));
        }
        _ => {}
    }
}
