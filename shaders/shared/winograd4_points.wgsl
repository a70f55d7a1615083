// The interpolation points of Winograd's F(4x4, 3x3): 0, +-5/8, +-3/2 and infinity. Of the customary 0, +-1, +-2 the
// rounding error is four times as large: with these it stays near that of the direct sum (see Barabasz et al., "Error
// Analysis and Improving the Accuracy of Winograd Convolution for Deep Neural Networks", 2020, on the choice of
// points).
const P: f32 = 0.625;
const Q: f32 = 1.5;
// The squares of the points, their sum and product, are exact in binary.
const P_2: f32 = P * P;
const Q_2: f32 = Q * Q;
// Products of a point's differences from all others.
const AT_0: f32 = P_2 * Q_2;
const AT_P: f32 = 2.0 * P_2 * (P_2 - Q_2);
const AT_Q: f32 = 2.0 * Q_2 * (Q_2 - P_2);
