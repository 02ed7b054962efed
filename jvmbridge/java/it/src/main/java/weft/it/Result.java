package weft.it;

/** What a job computed: a digest, and the number of records in it. */
final class Result {
  final String sha256;
  final long count;

  Result(String sha256, long count) {
    this.sha256 = sha256;
    this.count = count;
  }
}
