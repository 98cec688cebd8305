//! The addressing fields of a message, as `get-property('To')` and the `header` mediator see them.

/// WS-Addressing fields. `to` is set from the request URL or an endpoint, too; the others come from `wsa:` header
/// blocks or are set by configuration. MI: `MessageContext#getTo` and its siblings.
#[derive(Clone, Debug, Default)]
pub struct Addressing {
    /// Destination address.
    pub to: Option<String>,
    /// Source address.
    pub from: Option<String>,
    /// Where replies go.
    pub reply_to: Option<String>,
    /// Where faults go.
    pub fault_to: Option<String>,
    /// `wsa:Action`, else the `SOAPAction` of the transport.
    pub action: Option<String>,
    /// `wsa:MessageID`; the engine generates one when a message is asked for it and has none.
    pub message_id: Option<String>,
    /// `wsa:RelatesTo`.
    pub relates_to: Option<String>,
}
