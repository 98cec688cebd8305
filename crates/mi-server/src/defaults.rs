//! The sequences `main` and `fault` of a home that has none; MI ships equal ones as files. Their log lines are what
//! operators search for.

/// Answers 404 to what no API or proxy takes.
pub const MAIN: &str = r#"<sequence xmlns="http://ws.apache.org/ns/synapse" name="main"><in>
  <log level="custom"><property name="main sequence executed for call to non-existent" expression="get-property('To')"/></log>
  <property name="NO_ENTITY_BODY" scope="axis2" type="BOOLEAN" value="true"/>
  <property name="HTTP_SC" scope="axis2" value="404"/>
  <respond/>
</in></sequence>"#;

/// Logs the message with its error and drops it.
pub const FAULT: &str = r#"<sequence xmlns="http://ws.apache.org/ns/synapse" name="fault">
  <log level="full">
    <property name="MESSAGE" value="Executing default 'fault' sequence"/>
    <property name="ERROR_CODE" expression="get-property('ERROR_CODE')"/>
    <property name="ERROR_MESSAGE" expression="get-property('ERROR_MESSAGE')"/>
  </log>
  <drop/>
</sequence>"#;
