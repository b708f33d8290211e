"""The default instalment plans as data: what a lender starts from and edits.

The one rule: only data here. Rates are examples of the market's order (3, 6 and 12 payments; flat fee, spread evenly);
the least amount of 100.00 is the usual one in China.
"""

from typing import Any

_LEAST = 100_00
_MOST = 50_000_00

TEXTS: dict[str, dict[str, str]] = {
    "lender": {"zh-CN": "示例消费金融有限公司", "en": "Example Consumer Finance Ltd"},
    "product": {"zh-CN": "示例消费贷款", "en": "Example consumer credit"},
    "reminder": {
        "zh-CN": "请根据收入合理借款，理性消费，避免过度负债。",
        "en": "Borrow only what you can pay back: too much debt harms you.",
    },
    "complaints": {"zh-CN": "投诉电话：400-000-0000", "en": "Complaints: 400-000-0000"},
}

_DEFAULT_TERMS = {
    "zh-CN": "逾期按未还本金每日0.05%收取罚息，由放贷机构收取。",
    "en": "Late payments cost 0.05 % a day of the principal overdue, paid to the lender.",
}


def _plan(plan_id: str, zh: str, en: str, payments: int, fee_rate: str, **more: Any) -> dict[str, Any]:
    return {
        "id": plan_id,
        "name": {"zh-CN": zh, "en": en},
        "payments": payments,
        "fee_rate": fee_rate,
        "fee_method": "spread",
        "bearer": "customer",
        "merchant_percent": 0,
        "amount_min_minor": _LEAST,
        "amount_max_minor": _MOST,
        "categories": [],
        "first_payment": {"months": 1, "day": None},
        "default_terms": dict(_DEFAULT_TERMS),
    } | more


PLANS: list[dict[str, Any]] = [
    _plan("next-month", "下月付", "Pay next month", 1, "0", amount_min_minor=1, first_payment={"months": 1, "day": 10}),
    _plan("3x", "分3期", "3 payments", 3, "0.023"),
    _plan("6x", "分6期", "6 payments", 6, "0.045", bearer="split", merchant_percent=40),
    _plan("12x", "分12期", "12 payments", 12, "0.075"),
]


def default_instalments() -> dict[str, Any]:
    """The policy's field `instalments`."""
    return {"plans": [dict(plan) for plan in PLANS], "texts": {name: dict(words) for name, words in TEXTS.items()}}
