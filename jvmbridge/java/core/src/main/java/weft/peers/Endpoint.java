package weft.peers;

import java.util.Arrays;

/** Where an executor's daemon is reached by other daemons. Immutable. */
public final class Endpoint {
  private final String[] addresses;
  private final int port;
  private final byte[] daemonId;

  public Endpoint(String[] addresses, int port, byte[] daemonId) {
    this.addresses = addresses.clone();
    this.port = port;
    this.daemonId = daemonId.clone();
  }

  public String[] addresses() {
    return addresses.clone();
  }

  public int port() {
    return port;
  }

  /** Sixteen bytes, new at every start of the daemon. */
  public byte[] daemonId() {
    return daemonId.clone();
  }

  @Override
  public boolean equals(Object other) {
    if (!(other instanceof Endpoint)) {
      return false;
    }
    Endpoint that = (Endpoint) other;
    return port == that.port
        && Arrays.equals(addresses, that.addresses)
        && Arrays.equals(daemonId, that.daemonId);
  }

  @Override
  public int hashCode() {
    return 31 * Arrays.hashCode(daemonId) + port;
  }

  @Override
  public String toString() {
    return Arrays.toString(addresses) + ":" + port;
  }
}
