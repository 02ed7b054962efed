package report

// Published values of the study that this report repeats: "Characterizing Deep Learning over Big Data (DLoBD) Stacks on RDMA-Capable
// Networks", HOTI 2017, for BigDL's VGG on CIFAR-10 over FDR InfiniBand (56 Gb/s), and where in it they are. The numbers of the figures
// are inferred from the order in which the study treats its experiments.
type publishedValue struct {
	Figure, What string
	IPoIB, RDMA  float64 // seconds; 0: only the ratio was published
	Ratio        float64
}

var published = []publishedValue{
	{"6c", "VGG to 70 % accuracy", 4337, 2132, 4337.0 / 2132},
	{"7a", "VGG to the end of epoch 18, 192 cores, batch 768", 0, 0, 2.6},
	{"7b", "VGG to the end of epoch 18, 384 cores, batch 768", 2372, 870, 2.7},
}

// target is the accuracy that the study trained to.
const target = 0.70
