"""The Hessians of sparse rows."""

from ._jit import kernel


@kernel
def add_gram(data, indices, indptr, weight, gram, total):
    """Add sum_i weight_i x_i x_i^T to `gram`, its lower triangle only, and sum_i weight_i x_i to `total`.

    The entries of a CSR row are in any order.
    """
    for i in range(indptr.size - 1):
        w = weight[i]
        if w == 0:
            continue
        for p in range(indptr[i], indptr[i + 1]):
            j = indices[p]
            x = w * data[p]
            total[j] += x
            for q in range(indptr[i], p + 1):
                k = indices[q]
                if k <= j:
                    gram[j, k] += x * data[q]
                else:
                    gram[k, j] += x * data[q]
