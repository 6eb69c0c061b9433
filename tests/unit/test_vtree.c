/* SPDX-License-Identifier: Apache-2.0 */
/* The treap of run queues and timers: order, equal keys, shape, against a plain array. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sched/internal.h"

#define NODES 2000

static struct vtree tree;
static struct node {
	struct vnode v;
	u64 came; /* when it was inserted: equal keys keep that order */
	bool in;
} nodes[NODES];

static int setup(void **state)
{
	(void)state;
	memset(&tree, 0, sizeof(tree));
	memset(nodes, 0, sizeof(nodes));
	return 0;
}

/* Pointers both ways, ranks that fall downwards; counts the nodes and returns the height. */
static unsigned shape(const struct vnode *n, const struct vnode *parent, unsigned *count)
{
	if (!n)
		return 0;
	assert_ptr_equal(n->parent, parent);
	assert_true(!parent || parent->rank >= n->rank);
	++*count;
	unsigned left = shape(n->left, n, count), right = shape(n->right, n, count);
	return 1 + MAX(left, right);
}

static int by_order(const void *a, const void *b)
{
	const struct node *x = *(const struct node *const *)a, *y = *(const struct node *const *)b;
	if (x->v.key != y->v.key)
		return x->v.key < y->v.key ? -1 : 1;
	return x->came < y->came ? -1 : 1;
}

/* The whole tree against the nodes that should be in it. Returns its height. */
static unsigned compare(void)
{
	static struct node *sorted[NODES];
	unsigned n = 0, count = 0, height = shape(tree.root, NULL, &count);
	for (unsigned i = 0; i < NODES; i++)
		if (nodes[i].in)
			sorted[n++] = &nodes[i];
	assert_int_equal(count, n);
	qsort(sorted, n, sizeof(sorted[0]), by_order);
	struct vnode *at = tree.first;
	for (unsigned i = 0; i < n; i++, at = vtree_next(at))
		assert_ptr_equal(at, &sorted[i]->v);
	assert_null(at);
	return height;
}

static void insert(unsigned i, u64 key, u64 came)
{
	nodes[i].v.key = key;
	nodes[i].came = came;
	nodes[i].in = true;
	vtree_insert(&tree, &nodes[i].v);
}

static void take(unsigned i)
{
	nodes[i].in = false;
	vtree_remove(&tree, &nodes[i].v);
}

/* Few different keys, so that many are equal, and the tree empty now and then. */
static void random_operations(void **state)
{
	(void)state;
	srand(1);
	for (unsigned step = 0; step < 60000; step++) {
		bool grow = step / 4000 % 2 == 0;
		unsigned i = (unsigned)rand() % 300;
		if (nodes[i].in && (!grow || rand() % 3 == 0))
			take(i);
		else if (!nodes[i].in && (grow || rand() % 8 == 0))
			insert(i, (u64)rand() % 50, step);
		if (step % 61 == 0)
			compare();
	}
	for (unsigned i = 0; i < 300; i++)
		if (nodes[i].in)
			take(i);
	assert_null(tree.root);
	assert_null(tree.first);
}

/* Keys that come in order make a plain search tree a list. 2,000 nodes are 11 levels at best; a random tree
 * has about 25. */
static void stays_shallow(void **state)
{
	(void)state;
	for (unsigned i = 0; i < NODES; i++)
		insert(i, i, i);
	assert_in_range(compare(), 11, 44);
	for (unsigned i = 0; i < NODES; i++)
		take(i);
	for (unsigned i = 0; i < NODES; i++)
		insert(i, NODES - i, i);
	assert_in_range(compare(), 11, 44);
	for (unsigned i = 0; i < NODES; i += 2)
		take(i);
	assert_in_range(compare(), 10, 40);
}

/* As run queues and timers use it: the first out, and in again farther back. */
static void turns(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 256; i++)
		insert(i, 0, i);
	for (unsigned turn = 0; turn < 100 * 256; turn++) {
		struct node *n = container_of(tree.first, struct node, v);
		assert_int_equal(n - nodes, turn % 256);
		take((unsigned)(n - nodes));
		insert((unsigned)(n - nodes), n->v.key + 5, 256 + turn);
	}
	assert_in_range(compare(), 8, 36);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(random_operations, setup),
	    cmocka_unit_test_setup(stays_shallow, setup),
	    cmocka_unit_test_setup(turns, setup),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
