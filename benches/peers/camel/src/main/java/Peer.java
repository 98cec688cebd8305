import org.apache.camel.builder.RouteBuilder;
import org.apache.camel.main.Main;

/** The flows under the paths that the server has for them. Arguments: own port, port of the back end, folder of stylesheets. */
public final class Peer extends RouteBuilder {
    private final String port;
    private final String backEnd;
    private final String stylesheets;

    private Peer(String[] arguments) {
        port = arguments[0];
        backEnd = "netty-http:http://127.0.0.1:" + arguments[1]
            + "/service/EchoService?bridgeEndpoint=true&throwExceptionOnFailure=false&producerPoolMaxTotal=-1";
        stylesheets = arguments[2];
    }

    public static void main(String[] arguments) throws Exception {
        Main main = new Main();
        main.configure().addRoutesBuilder(new Peer(arguments));
        main.run();
    }

    private String path(String path) {
        return "netty-http:http://127.0.0.1:" + port + path;
    }

    private String stylesheet(String name) {
        return "xslt:file:" + stylesheets + "/" + name + ".xsl?contentCache=true&output=bytes";
    }

    @Override
    public void configure() {
        from(path("/services/DirectProxy?disableStreamCache=true")).to(backEnd);
        from(path("/services/CBRProxy"))
            .choice()
            .when(xpath("//order[1]/symbol")).to(backEnd)
            .otherwise().setHeader("CamelHttpResponseCode", constant(500));
        from(path("/services/XSLTProxy"))
            .to(stylesheet("symbol_to_lobmys"))
            .to(backEnd)
            .to(stylesheet("lobmys_to_symbol"));
    }
}
