package weft.bridge;

import java.util.List;

/** Told of the bridge's sessions, one call at a time, on the bridge's own thread (calls may wait). */
public interface SessionListener {
  /**
   * @param addresses at which peers reach the daemon; empty: the host name that Spark has for this executor
   * @param device the RDMA device that the daemon moves blocks by where it can; empty: none
   * @param software whether that is soft-RoCE or its like
   * @param keeps whether the daemon serves this executor's map outputs on when the session has ended with the executor
   * @param takenOver executors of the application of which a daemon before this one left map outputs, which this one serves
   */
  void opened(
      List<String> addresses,
      int port,
      byte[] daemonId,
      String device,
      boolean software,
      boolean keeps,
      List<String> takenOver);

  /** The session was lost. */
  void lost(String cause);

  /** No session could be opened; the bridge goes on trying. Called for the first of several attempts in a row. */
  void failed(String cause);
}
