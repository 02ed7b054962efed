/**
 * Trains models by BigDL 2.4, for comparisons: with seeds, a number of iterations to stop after, and a validation at each epoch's end,
 * which not all of BigDL's own main classes have. It changes nothing in BigDL and knows nothing of weft.
 */
package weft.bigdl;
