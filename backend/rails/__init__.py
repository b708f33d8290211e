"""The rails: ways to a wallet that pays a sale at once (Alipay, WeChat Pay, UnionPay), each behind one interface."""
