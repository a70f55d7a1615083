// The package's heatColours(), RGB, a byte each; made by `cargo xtask precompute`.

const base64 =
  'IhcbJxknKxszLh4+MiBJNSJUOCVeOydoPSlxPyx6QS6DQzGLRTOTRjaaRzmhSDuoST6uSUC0SkO6SkbASkjFSkvKSk7OSlDTSlPX' +
  'SVbaSVneSFvhR17kR2HnRmTpRWfsRGnuQ2zwQm/xQXLzQHT0P3f1PXr2PH33O3/4OoL4OYX4OIf4Nor4NY34NJD4M5L3MpX3MZf2' +
  'MJr1L530Lp/zLaLyLKTxK6fwKqnuKaztKK7rKLHpJ7PoJ7XmJrjkJrriJbzgJb/eJcHcJcPaJMXYJMfVJMnTJcvRJc3OJc/MJdHJ' +
  'JtPHJtXFJ9fCJ9nAKNu9Kdy6Kt64K+C1LOGzLeOwLuSuL+arMOeoMummM+qjNeyhNu2eOO6cOu+ZPPCXPfGUP/KSQfOPQ/SNRvWK' +
  'SPaISveFTPiDT/iBUfl+U/p8Vvp6WPt4W/t1XvxzYPxxY/xvZv1taf1ra/1pbv1ncf1ldP1jd/1hev1fff1dgP1bg/xZhvxYifxW' +
  'jPtUj/tTkvpRlvpPmflOnPlMn/hLovdJpfZIqPZHq/VFrvREsfNDtPJBt/FAuu8/ve4+wO09w+w7xuo6yek5y+g4zuY30eU20+M1' +
  '1uE12eA0294z3twy4Nsx4tkw5dcw59Uv6dMu69Et7c8t780s8csr88kr9Mcq9sQp+MIp+cAo+74o/Lsn/bkn/7cm/7Qm/7Il/68l' +
  '/60k/6ok/6gj/6Uj/6Mi/6Ai/50h/5sh/5gg/5Ug/5Mg/5Af/40f/4oe/4ge/4Ud/4Id/38d/30c/3oc/3cb/3Qb/3Ia/m8a/WwZ' +
  '+2kZ+mYY+GQY92EX9V4X9FsX8lkW8FYV7lMV7FEU6k4U6EsT5kkT40YS4UQS30ER3D8Q2jwQ1zoP1TcP0jUO0DMNzTENyy4MyCwM' +
  'xSoLwygKwCYKviQJuyIIuCAIth4Hsx0GsRsGrhkFrBgEqRYEpxUDpRQCoxMCoREBnxAAnQ8Amw4AmQ4Alw0AlgwAlQwAkwwAkgsA' +
  'kQsAkQsAkAsAkAsAkAsAkAwA';

export default Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
