/* SPDX-License-Identifier: Apache-2.0 */
/* Tasks in the order of their virtual time, timers in that of their deadlines: a treap, a search tree that
 * random ranks keep shallow. Insertion and removal take O(log n) steps as expected, the first node none.
 * Equal keys keep the order in which they came. */
#include "internal.h"

static u32 next_rank(struct vtree *tree)
{
	u32 x = tree->seed ? tree->seed : 2463534242u; /* Marsaglia's xorshift; no adversary sees it */
	x ^= x << 13;
	x ^= x >> 17;
	x ^= x << 5;
	tree->seed = x;
	return x;
}

static void replace_child(struct vtree *tree, struct vnode *parent, struct vnode *old, struct vnode *new)
{
	if (!parent)
		tree->root = new;
	else if (parent->left == old)
		parent->left = new;
	else
		parent->right = new;
	if (new)
		new->parent = parent;
}

/* n rises above its parent. */
static void rotate_up(struct vtree *tree, struct vnode *n)
{
	struct vnode *p = n->parent, *between = p->left == n ? n->right : n->left;
	replace_child(tree, p->parent, p, n);
	if (p->left == n) {
		n->right = p;
		p->left = between;
	} else {
		n->left = p;
		p->right = between;
	}
	p->parent = n;
	if (between)
		between->parent = p;
}

void vtree_insert(struct vtree *tree, struct vnode *n)
{
	struct vnode **link = &tree->root, *parent = NULL;
	bool is_first = true;
	if (likely(!*link)) { /* as mostly; above any that come while it is here */
		*n = (struct vnode){.key = n->key, .rank = ~(u32)0};
		tree->root = tree->first = n;
		return;
	}
	while (*link) {
		parent = *link;
		bool left = n->key < parent->key;
		is_first = is_first && left;
		link = left ? &parent->left : &parent->right;
	}
	*n = (struct vnode){.parent = parent, .key = n->key, .rank = next_rank(tree)};
	*link = n;
	if (is_first)
		tree->first = n;
	while (n->parent && n->parent->rank < n->rank)
		rotate_up(tree, n);
}

struct vnode *vtree_next(const struct vnode *n)
{
	if (n->right) {
		for (n = n->right; n->left;)
			n = n->left;
		return (struct vnode *)n;
	}
	while (n->parent && n->parent->right == n)
		n = n->parent;
	return n->parent;
}

void vtree_remove(struct vtree *tree, struct vnode *n)
{
	if (likely(tree->root == n && !n->left && !n->right)) { /* the only one, as mostly */
		tree->root = tree->first = NULL;
		return;
	}
	if (tree->first == n)
		tree->first = vtree_next(n);
	while (n->left && n->right)
		rotate_up(tree, n->left->rank > n->right->rank ? n->left : n->right);
	replace_child(tree, n->parent, n, n->left ? n->left : n->right);
	n->left = n->right = n->parent = NULL;
}
