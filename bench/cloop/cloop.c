// cloop reads memory of its own device by RDMA READ in the shortest loop that libibverbs allows: one thread, polling, nothing else to do.
// It is what weft's reading is compared with where perftest does not run. Output in the Go benchmark format.
//
// Usage: cloop ADDRESS ADDRESS BLOCK DEPTH SECONDS   from and to which address it connects, bytes of a READ, READs in flight
#include <arpa/inet.h>
#include <infiniband/verbs.h>
#include <pthread.h>
#include <rdma/rdma_cma.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#define TRY(call)                                     \
	do {                                          \
		if (!(call)) {                        \
			perror("cloop: " #call);      \
			exit(1);                      \
		}                                     \
	} while (0)

// More than fits into ARENA shares places.
enum { SLOTS = 64, MAX_SAMPLES = 1 << 22, ARENA = 64 << 20 };

struct end {
	struct rdma_event_channel *events;
	struct rdma_cm_id *id;
	struct ibv_cq *cq;
	char *mem;
	struct ibv_mr *mr;
};

static size_t bytes;
static int depth, places;

static struct rdma_cm_id *expect(struct end *e, enum rdma_cm_event_type want)
{
	struct rdma_cm_event *event;
	TRY(!rdma_get_cm_event(e->events, &event));
	if (event->event != want) {
		fprintf(stderr, "cloop: %s instead of %s\n", rdma_event_str(event->event), rdma_event_str(want));
		exit(1);
	}
	struct rdma_cm_id *id = event->id;
	rdma_ack_cm_event(event);
	return id;
}

static void equip(struct end *e, int access)
{
	struct ibv_pd *pd;
	TRY(pd = ibv_alloc_pd(e->id->verbs));
	TRY(e->cq = ibv_create_cq(e->id->verbs, SLOTS, NULL, NULL, 0));
	struct ibv_qp_init_attr attr = {
		.send_cq = e->cq, .recv_cq = e->cq, .qp_type = IBV_QPT_RC, .sq_sig_all = 1,
		.cap = {.max_send_wr = SLOTS, .max_recv_wr = 1, .max_send_sge = 1, .max_recv_sge = 1},
	};
	TRY(!rdma_create_qp(e->id, pd, &attr));
	TRY((e->mem = mmap(NULL, bytes * places, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0)) != MAP_FAILED);
	memset(e->mem, 1, bytes * places);
	TRY(e->mr = ibv_reg_mr(pd, e->mem, bytes * places, access));
}

static void address(struct sockaddr_in *a, const char *text)
{
	memset(a, 0, sizeof *a);
	a->sin_family = AF_INET;
	TRY(inet_pton(AF_INET, text, &a->sin_addr) == 1);
}

static struct end owner;

static void *serve(void *listener)
{
	(void)listener;
	owner.id = expect(&owner, RDMA_CM_EVENT_CONNECT_REQUEST);
	equip(&owner, IBV_ACCESS_REMOTE_READ);
	struct rdma_conn_param param = {.responder_resources = 16, .rnr_retry_count = 6};
	TRY(!rdma_accept(owner.id, &param));
	return NULL;
}

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

static int ascending(const void *a, const void *b)
{
	float x = *(const float *)a, y = *(const float *)b;
	return (x > y) - (x < y);
}

static void post(struct end *e, int slot)
{
	struct ibv_sge sge = {.addr = (uintptr_t)e->mem + slot % places * bytes, .length = bytes, .lkey = e->mr->lkey};
	struct ibv_send_wr wr = {.wr_id = slot, .sg_list = &sge, .num_sge = 1, .opcode = IBV_WR_RDMA_READ}, *bad;
	wr.wr.rdma.remote_addr = (uintptr_t)owner.mem + slot % places * bytes;
	wr.wr.rdma.rkey = owner.mr->rkey;
	TRY(!ibv_post_send(e->id->qp, &wr, &bad));
}

int main(int argc, char **argv)
{
	if (argc != 6) {
		fprintf(stderr, "usage: cloop ADDRESS ADDRESS BLOCK DEPTH SECONDS\n");
		return 2;
	}
	bytes = strtoul(argv[3], NULL, 10);
	depth = atoi(argv[4]);
	if (!bytes || depth < 1 || depth > SLOTS) {
		fprintf(stderr, "cloop: a block of at least 1 byte, and a depth of 1 to %d\n", SLOTS);
		return 2;
	}
	places = bytes * depth <= ARENA ? depth : bytes < ARENA ? (int)(ARENA / bytes) : 1;
	struct sockaddr_in from, to;
	address(&from, argv[1]);
	address(&to, argv[2]);

	struct rdma_cm_id *listener;
	TRY(owner.events = rdma_create_event_channel());
	TRY(!rdma_create_id(owner.events, &listener, NULL, RDMA_PS_TCP));
	TRY(!rdma_bind_addr(listener, (struct sockaddr *)&to));
	TRY(!rdma_listen(listener, 1));
	to.sin_port = rdma_get_src_port(listener);
	pthread_t server;
	TRY(!pthread_create(&server, NULL, serve, listener));

	struct end e = {0};
	TRY(e.events = rdma_create_event_channel());
	TRY(!rdma_create_id(e.events, &e.id, NULL, RDMA_PS_TCP));
	TRY(!rdma_resolve_addr(e.id, (struct sockaddr *)&from, (struct sockaddr *)&to, 2000));
	expect(&e, RDMA_CM_EVENT_ADDR_RESOLVED);
	TRY(!rdma_resolve_route(e.id, 2000));
	expect(&e, RDMA_CM_EVENT_ROUTE_RESOLVED);
	equip(&e, IBV_ACCESS_LOCAL_WRITE);
	struct rdma_conn_param param = {.initiator_depth = 16, .retry_count = 6, .rnr_retry_count = 6};
	TRY(!rdma_connect(e.id, &param));
	expect(&e, RDMA_CM_EVENT_ESTABLISHED);
	pthread_join(server, NULL);

	float *took = malloc(MAX_SAMPLES * sizeof *took);
	double posted[SLOTS], start = now(), end = start + atof(argv[5]), t = start;
	long n = 0;
	int flying = 0;
	TRY(took);
	for (; flying < depth; flying++) {
		posted[flying] = now();
		post(&e, flying);
	}
	while (flying) {
		struct ibv_wc wc[16];
		int got = ibv_poll_cq(e.cq, 16, wc);
		for (int i = 0; i < got; i++) {
			if (wc[i].status != IBV_WC_SUCCESS) {
				fprintf(stderr, "cloop: %s\n", ibv_wc_status_str(wc[i].status));
				return 1;
			}
			t = now();
			int slot = wc[i].wr_id;
			if (n < MAX_SAMPLES)
				took[n] = t - posted[slot];
			n++;
			if (t < end) {
				posted[slot] = t;
				post(&e, slot);
			} else {
				flying--;
			}
		}
	}
	long samples = n < MAX_SAMPLES ? n : MAX_SAMPLES;
	qsort(took, samples, sizeof *took, ascending);
	printf("BenchmarkRead/impl=cloop/block=%zu/depth=%d %ld %.1f ns/op %.2f MB/s %.1f p50-us %.1f p99-us\n", bytes, depth, n,
	       (t - start) * 1e9 / n, n * (double)bytes / (t - start) / 1e6, took[samples / 2] * 1e6, took[samples * 99 / 100] * 1e6);
	return 0;
}
