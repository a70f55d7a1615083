import 'pcsnet/worker';
