/**
 * weft inside Spark: puts itself between Spark and its block transfer service, asks the daemon first and Spark's own service for
 * whatever the daemon did not deliver. Compiled once for every Spark line, so no signature here has a Scala Seq in it; moves no
 * bytes itself and never changes what Spark writes.
 */
package org.apache.spark.shuffle.weft;
