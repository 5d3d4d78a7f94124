/* Standalone pictures as SVG: no scripts, no fonts of their own, light background. In pixels. */
#ifndef CB_CLI_SVG_H
#define CB_CLI_SVG_H

#include <stdio.h>

enum { CB_SVG_COLOURS = 12 };
const char *cb_svg_colour(int i); /* of a line or block; told apart on white, again and again */

void cb_svg_begin(FILE *to, double width, double height);
void cb_svg_end(FILE *to);
/* class: "" plain, "s" soft, "h" heading; anchor: 's'tart, 'm'iddle, 'e'nd. */
void cb_svg_text(FILE *to, const char *class, char anchor, double x, double y, const char *text);
/* style: attributes such as stroke-width="2". */
void cb_svg_line(FILE *to, double x1, double y1, double x2, double y2, const char *colour, const char *style);

#endif
