/* Functions of one difference: powers and exponentials by polynomials. Included by _coordinates.c. */

/* The summed term: |delta|^exponent, or exp(-(|delta| / scale)^exponent). */
enum { POWER = 0, DECAY = 1 };

typedef struct {
    float high, low; /* their sum is the exponent; high * (an integer below 2^11) is exact in float32 */
} Exponent;

typedef struct {
    int kind;
    Exponent exponent;
    Exponent below; /* exponent - 1 */
    float rate;     /* 1 / scale */
    int shape;
} Function;

/* Exponents that need no general power. */
enum { GENERAL = 0, ONE = 1, TWO = 2, ROOT = 3 };

INLINE int32_t bits_of(float x) {
    int32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

INLINE float float_of(int32_t bits) {
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

INLINE float power_of_two(float whole, float rest) { /* 2^(whole + rest), whole integral, |rest| <= 1/2 */
    float p = 1.5461444854736328e-4f;
    p = p * rest + 1.3400427997112274e-3f;
    p = p * rest + 9.618056938052177e-3f;
    p = p * rest + 5.550327152013779e-2f;
    p = p * rest + 0.24022650718688965f;
    p = p * rest + 0.6931471824645996f;
    p = p * rest + 1.0f;
    whole = whole < -127.0f ? -127.0f : whole; /* gives zero */
    whole = whole > 128.0f ? 128.0f : whole;   /* gives infinity */
    return p * float_of(((int32_t)whole + 127) << 23);
}

INLINE float power(float x, Exponent e) { /* x^e for x >= 0; subnormal numbers count as zero */
    int32_t bits = bits_of(x);
    int32_t shift = (bits - 0x3f3504f3) & (int32_t)0xff800000;
    float whole = (float)(shift >> 23);
    float t = float_of(bits - shift) - 1.0f; /* in [sqrt(1/2) - 1, sqrt(2) - 1) */
    float p = 0.12310968339443207f;
    p = p * t + -0.2058618813753128f;
    p = p * t + 0.21607822179794312f;
    p = p * t + -0.2391698807477951f;
    p = p * t + 0.2879032492637634f;
    p = p * t + -0.3606932759284973f;
    p = p * t + 0.4809107482433319f;
    p = p * t + -0.721347451210022f;
    p = p * t + 1.4426950216293335f;
    float rest = e.low * whole + (e.high + e.low) * (p * t);
    float nearest = rintf(e.high * whole + rest);
    float result = power_of_two(nearest, (e.high * whole - nearest) + rest);
    return x < FLT_MIN ? 0.0f : result;
}

INLINE float decay(float x) { /* exp(-x) for x >= 0 */
    float v = (x > 200.0f ? 200.0f : x) * -1.44269504088896341f; /* infinity minus itself is NaN */
    float nearest = rintf(v);
    return power_of_two(nearest, v - nearest);
}

INLINE float shaped_power(float x, Exponent e, int shape) {
    if (shape == ONE) return x;
    if (shape == TWO) return x * x;
    if (shape == ROOT) return sqrtf(x);
    return power(x, e);
}

INLINE float sum_term(float size, Function f, int kind, int shape) {
    if (kind == POWER) return shaped_power(size, f.exponent, shape);
    return decay(shaped_power(size * f.rate, f.exponent, shape));
}

/* The derivative of the term by |delta|, without a constant factor: |delta|^(exponent - 1), or
   s^(exponent - 1) exp(-s^exponent) with s = |delta| / scale. */
INLINE float slope_term(float size, Function f, int kind, int shape) {
    float scaled = kind == POWER ? size : size * f.rate;
    float root = shape == ONE ? 1.0f : (shape == TWO ? scaled : power(scaled, f.below));
    return kind == POWER ? root : root * decay(root * scaled);
}
