/**
 * Spark jobs whose results can be compared byte for byte, for tests and the demo. They use Spark's Java API alone, without
 * anything whose signature holds a Scala collection, so that one jar runs on Spark 3.1 to 4.1. They know nothing of weft: what a
 * job's blocks travel by is decided by the configuration of its application.
 */
package weft.it;
