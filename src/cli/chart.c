/* A curve in the terminal: each column shows the mean of its share of the values, in braille dots (2 x 4 to a character). */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli/progress.h"

/* Mean of the finite values in y[from..to), or NaN. */
static double mean(const double *y, int64_t from, int64_t to) {
    double sum = 0;
    int64_t n = 0;
    for (int64_t i = from; i < to; i++) {
        if (!isfinite(y[i])) continue;
        sum += y[i];
        n++;
    }
    return n ? sum / (double)n : NAN;
}

static void bounds(const double *y, int64_t n, double *low, double *high) {
    *low = INFINITY;
    *high = -INFINITY;
    for (int64_t i = 0; i < n; i++) {
        if (!isfinite(y[i])) continue;
        *low = fmin(*low, y[i]);
        *high = fmax(*high, y[i]);
    }
    if (!(*high > *low)) *high = *low + 1;
}

/* Bit of dot (x, y) within a braille character, y from the top. */
static unsigned dot(int x, int y) {
    static const unsigned bits[4][2] = {{0x01, 0x08}, {0x02, 0x10}, {0x04, 0x20}, {0x40, 0x80}};
    return bits[y][x];
}

static void print_row(const unsigned char *cells, int columns, FILE *to) {
    int end = columns;
    while (end > 0 && cells[end - 1] == 0) end--;
    for (int c = 0; c < end; c++) {
        if (cells[c]) fprintf(to, "\xe2%c%c", 0xa0 + (cells[c] >> 6), 0x80 + (cells[c] & 63)); /* U+2800 + cell */
        else fputc(' ', to); /* some fonts draw U+2800 as a box */
    }
    fputc('\n', to);
}

static void fill_cells(const double *y, int64_t n, int columns, int rows, double low, double high, unsigned char *cells) {
    int64_t points = n < 2 * columns ? n : 2 * columns;
    for (int64_t x = 0; x < 2 * columns; x++) {
        int64_t i = x * points / (2 * columns), from = i * n / points, to = (i + 1) * n / points;
        double value = mean(y, from, to > from ? to : from + 1);
        if (isnan(value)) continue;
        int level = (int)lround((high - value) / (high - low) * (4 * rows - 1));
        cells[level / 4 * columns + x / 2] |= (unsigned char)dot((int)(x % 2), level % 4);
    }
}

void cb_chart_print(const double *y, int64_t n, int columns, int rows, const char *title, FILE *to) {
    double low, high;
    unsigned char *cells = calloc((size_t)columns * (size_t)rows, 1);
    if (!cells || n < 1) {
        free(cells);
        return;
    }
    bounds(y, n, &low, &high);
    fill_cells(y, n, columns, rows, low, high, cells);
    fprintf(to, "%s\n", title);
    for (int r = 0; r < rows; r++) {
        fprintf(to, "%9.3f \xe2\x94\x82", high - (high - low) * r / (rows - 1));
        print_row(cells + (int64_t)r * columns, columns, to);
    }
    fprintf(to, "%9s \xe2\x94\x94", "");
    for (int c = 0; c < columns; c++) fputs("\xe2\x94\x80", to);
    fprintf(to, "\n%10s 1%*lld\n", "", columns - 1, (long long)n);
    free(cells);
}
