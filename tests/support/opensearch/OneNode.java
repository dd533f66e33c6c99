import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.opensearch.common.settings.Settings;
import org.opensearch.node.InternalSettingsPreparer;
import org.opensearch.node.Node;
import org.opensearch.plugins.Plugin;

/**
 * One node on loopback, from the jars alone: no scripts, no folders of plug-ins, no security manager.
 * Arguments: a folder, a port for HTTP, and the classes of plug-ins. It ends when its standard input does, so
 * that it never outlives the program that started it.
 */
public final class OneNode {
  private static final class Embedded extends Node {
    Embedded(Settings settings, Path folder, List<Class<? extends Plugin>> plugins) {
      super(InternalSettingsPreparer.prepareEnvironment(settings, Map.of(), folder, () -> "one"), plugins, false);
    }
  }

  public static void main(String[] arguments) throws Exception {
    Path folder = Path.of(arguments[0]);
    Settings settings = Settings.builder()
        .put("cluster.name", "cvsim-tests")
        .put("path.home", folder.toString())
        .put("path.data", folder.resolve("data").toString())
        .put("network.host", "127.0.0.1")
        .put("http.port", arguments[1])
        .put("http.type", "netty4")
        .put("transport.type", "netty4")
        .put("transport.port", "0")
        .put("discovery.type", "single-node")
        .put("node.processors", 2)
        .put("cluster.routing.allocation.disk.threshold_enabled", false)
        .build();
    List<Class<? extends Plugin>> plugins = new ArrayList<>();
    for (int k = 2; k < arguments.length; ++k) {
      plugins.add(Class.forName(arguments[k]).asSubclass(Plugin.class));
    }
    Node node = new Embedded(settings, folder, plugins);
    node.start();
    Runtime.getRuntime().addShutdownHook(new Thread(() -> close(node)));
    while (System.in.read() >= 0) {
      continue;
    }
    System.exit(0);
  }

  private static void close(Node node) {
    try {
      node.close();
    } catch (Exception failure) {
      failure.printStackTrace();
    }
  }
}
